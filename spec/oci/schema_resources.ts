/**
 * The schema of `linux.resources`: config-linux.md, "Control groups". Also what `runsc update
 * --resources` reads.
 */

import {
  BOOLEAN,
  type JsonSchema,
  list,
  record,
  S64,
  TEXT,
  U16,
  U32,
  U64,
} from './schema_terms.ts';

export const THROTTLE_SCHEMA: JsonSchema = {
  $id: 'throttle',
  type: 'object',
  required: ['major', 'minor', 'rate'],
  properties: { major: S64, minor: S64, rate: U64 },
};

const THROTTLE = list({ $ref: 'throttle' });

const NUMBER_LIST: JsonSchema = {
  type: 'string',
  pattern: '^[0-9,\\s-]*$',
  must: 'a list of numbers such as "0-3,7"',
};

const MEMORY: JsonSchema = {
  type: 'object',
  properties: {
    limit: S64,
    reservation: S64,
    swap: S64,
    kernel: S64,
    kernelTCP: S64,
    swappiness: {
      type: 'integer',
      minimum: 0,
      maximum: 2 ** 64,
      must: 'an integer from 0 to 100, or 18446744073709551615 for none',
    },
    disableOOMKiller: BOOLEAN,
    useHierarchy: BOOLEAN,
    checkBeforeUpdate: BOOLEAN,
  },
};

const CPU: JsonSchema = {
  type: 'object',
  properties: {
    shares: U64,
    quota: S64,
    burst: U64,
    period: U64,
    realtimeRuntime: S64,
    realtimePeriod: U64,
    cpus: NUMBER_LIST,
    mems: NUMBER_LIST,
    idle: S64,
  },
};

const BLOCK_IO: JsonSchema = {
  type: 'object',
  properties: {
    weight: U16,
    leafWeight: U16,
    weightDevice: list({
      type: 'object',
      required: ['major', 'minor'],
      properties: { major: S64, minor: S64, weight: U16, leafWeight: U16 },
    }),
    throttleReadBpsDevice: THROTTLE,
    throttleWriteBpsDevice: THROTTLE,
    throttleReadIOPSDevice: THROTTLE,
    throttleWriteIOPSDevice: THROTTLE,
  },
};

export const RESOURCES_SCHEMA: JsonSchema = {
  $id: 'resources',
  type: 'object',
  properties: {
    devices: list({
      type: 'object',
      required: ['allow'],
      properties: {
        allow: BOOLEAN,
        type: { enum: ['', 'a', 'b', 'c', 'u', 'p'] },
        major: S64,
        minor: S64,
        access: {
          type: 'string',
          maxLength: 16,
          pattern: '^[rwm]*$',
          must: 'a string of "r", "w" and "m"',
        },
      },
    }),
    memory: MEMORY,
    cpu: CPU,
    pids: { type: 'object', properties: { limit: S64 } },
    blockIO: BLOCK_IO,
    hugepageLimits: list({
      type: 'object',
      required: ['pageSize', 'limit'],
      properties: {
        pageSize: {
          type: 'string',
          maxLength: 32,
          pattern: '^[1-9][0-9]*[KMG]B$',
          must: 'a page size such as "2MB"',
        },
        limit: U64,
      },
    }),
    network: {
      type: 'object',
      properties: {
        classID: U32,
        priorities: list({
          type: 'object',
          required: ['name', 'priority'],
          properties: { name: TEXT, priority: U32 },
        }),
      },
    },
    rdma: record({ type: 'object', properties: { hcaHandles: U32, hcaObjects: U32 } }),
    unified: record(TEXT, { must: 'an object of strings' }),
  },
};
