/** What `runsc --version` says. version.test.ts holds it to package.json. */

import { OCI_VERSION } from './container/state.ts';

export const VERSION = '0.1.0';

export function versionText(): string {
  return `runsc version ${VERSION}\nspec: ${OCI_VERSION}\n`;
}
