/** One check of the real runsc in a world of its own; it fails by throwing. */
import type { World } from './world.ts';

export interface Check {
  readonly name: string;
  readonly body: (w: World) => Promise<void>;
}
