/**
 * JSON schemas of config.json and its parts, as data: draft 7 plus two keywords of our own that
 * only the error message reads.
 *
 *   must   what the value has to be, to follow "must be": "an absolute path"
 *   fix    what the user should do, to follow the colon: "give the program to run"
 *
 * generate.mjs compiles them with ajv to plain functions at build time, so that no schema compiler is
 * loaded when a container starts. Unknown properties pass, as the specification demands. The bounds
 * are Linux's (PATH_MAX, 32-bit ids) or, where Linux has none, far above what programs write.
 */

import { LINUX_SCHEMA } from './schema_linux.ts';
import { RESOURCES_SCHEMA, THROTTLE_SCHEMA } from './schema_resources.ts';
import {
  ABSOLUTE_PATH,
  ARGUMENT,
  BOOLEAN,
  type JsonSchema,
  list,
  PATH,
  record,
  STRING,
  TERMS,
  TEXT,
  U16,
  U32,
  U64,
} from './schema_terms.ts';

const ENVIRONMENT = list(ARGUMENT, {
  must: 'an array of strings',
  fix: 'write each variable as "NAME=value"',
});
const CAPABILITY_SET = list(STRING, { must: 'an array of capability names' });

const PROCESS_SCHEMA: JsonSchema = {
  $id: 'process',
  type: 'object',
  fix: 'describe the process to run, at least "args" and "cwd"',
  required: ['args', 'cwd'],
  properties: {
    terminal: BOOLEAN,
    consoleSize: {
      type: 'object',
      required: ['height', 'width'],
      properties: { height: U16, width: U16 },
    },
    user: {
      type: 'object',
      properties: {
        uid: U32,
        gid: U32,
        umask: { type: 'integer', minimum: 0, maximum: 0o777 },
        additionalGids: list(U32, { maxItems: 65536 }),
        username: STRING,
      },
    },
    args: list(ARGUMENT, {
      minItems: 1,
      must: 'an array of at least 1 string',
      fix: 'give the program to run',
    }),
    env: ENVIRONMENT,
    cwd: { ...ABSOLUTE_PATH, fix: 'give the working directory in the container, such as "/"' },
    capabilities: {
      type: 'object',
      must: 'an object of capability sets',
      fix: 'list names under "bounding", "effective", "permitted", "inheritable" and "ambient"',
      properties: {
        bounding: CAPABILITY_SET,
        effective: CAPABILITY_SET,
        inheritable: CAPABILITY_SET,
        permitted: CAPABILITY_SET,
        ambient: CAPABILITY_SET,
      },
    },
    rlimits: list({
      type: 'object',
      required: ['type', 'soft', 'hard'],
      properties: { type: STRING, soft: U64, hard: U64 },
    }),
    noNewPrivileges: BOOLEAN,
    oomScoreAdj: { type: 'integer', minimum: -1000, maximum: 1000 },
    apparmorProfile: STRING,
    selinuxLabel: STRING,
    ioPriority: {
      type: 'object',
      required: ['class'],
      properties: {
        class: { enum: ['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'] },
        priority: { type: 'integer', minimum: 0, maximum: 7 },
      },
    },
    scheduler: {
      type: 'object',
      required: ['policy'],
      properties: {
        policy: {
          enum: [
            'SCHED_OTHER',
            'SCHED_FIFO',
            'SCHED_RR',
            'SCHED_BATCH',
            'SCHED_ISO',
            'SCHED_IDLE',
            'SCHED_DEADLINE',
          ],
        },
        nice: { type: 'integer', minimum: -20, maximum: 19 },
        priority: { type: 'integer', minimum: 0, maximum: 99 },
        flags: list(STRING),
        runtime: U64,
        deadline: U64,
        period: U64,
      },
    },
    execCPUAffinity: { type: 'object', properties: { initial: STRING, final: STRING } },
  },
};

const ID_MAPPING_SCHEMA: JsonSchema = {
  $id: 'id-mapping',
  type: 'object',
  required: ['containerID', 'hostID', 'size'],
  properties: { containerID: U32, hostID: U32, size: U32 },
};

const MOUNT_SCHEMA: JsonSchema = {
  $id: 'mount',
  type: 'object',
  required: ['destination'],
  properties: {
    destination: { ...ABSOLUTE_PATH, fix: 'give the mount point in the container from "/" on' },
    type: TEXT,
    source: PATH,
    options: list(TEXT, { must: 'an array of strings', fix: 'write one option per string' }),
    uidMappings: list({ $ref: 'id-mapping' }),
    gidMappings: list({ $ref: 'id-mapping' }),
  },
};

const HOOK_SCHEMA: JsonSchema = {
  $id: 'hook',
  type: 'object',
  required: ['path'],
  properties: {
    path: { ...ABSOLUTE_PATH, fix: 'give the whole path of the program on the host' },
    args: list(ARGUMENT),
    env: ENVIRONMENT,
    timeout: {
      type: 'integer',
      minimum: 1,
      maximum: 2 ** 31,
      must: 'a whole number of seconds above 0',
    },
  },
};

const HOOKS = list({ $ref: 'hook' }, { maxItems: 1024 });

const UTS_NAME: JsonSchema = {
  type: 'string',
  pattern: '^[^\\u0000]{0,64}$',
  must: 'a string of at most 64 bytes',
};

const CONFIG_SCHEMA: JsonSchema = {
  $id: 'config',
  type: 'object',
  fix: 'see "runsc spec" for an example',
  required: ['ociVersion', 'root', 'process'],
  properties: {
    ociVersion: {
      type: 'string',
      maxLength: 64,
      pattern: '^1\\.\\d+\\.\\d+([-+][0-9A-Za-z.+-]*)?$',
      must: 'version 1.x.y of the OCI runtime specification',
      fix: 'write "1.0.2"',
    },
    root: {
      type: 'object',
      fix: 'give the root file system: {"path": "rootfs"}',
      required: ['path'],
      properties: {
        path: {
          type: 'string',
          pattern: '^[^\\u0000]{1,4095}$',
          must: 'a path of 1 to 4095 bytes',
          fix: 'give the directory that holds the root file system, such as "rootfs"',
        },
        readonly: BOOLEAN,
      },
    },
    process: { $ref: 'process' },
    hostname: UTS_NAME,
    domainname: UTS_NAME,
    mounts: list({ $ref: 'mount' }, { maxItems: 100000 }),
    hooks: {
      type: 'object',
      properties: {
        prestart: HOOKS,
        createRuntime: HOOKS,
        createContainer: HOOKS,
        startContainer: HOOKS,
        poststart: HOOKS,
        poststop: HOOKS,
      },
    },
    annotations: record(STRING, { must: 'an object of strings' }),
    linux: { $ref: 'linux' },
  },
};

/** By `$id`, which is also how they refer to each other. */
export const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  ...TERMS,
  config: CONFIG_SCHEMA,
  process: PROCESS_SCHEMA,
  mount: MOUNT_SCHEMA,
  hook: HOOK_SCHEMA,
  'id-mapping': ID_MAPPING_SCHEMA,
  linux: LINUX_SCHEMA,
  resources: RESOURCES_SCHEMA,
  throttle: THROTTLE_SCHEMA,
};
