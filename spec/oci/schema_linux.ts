/** The schema of config.json's `linux` object: config-linux.md of the specification. */

import {
  ABSOLUTE_PATH,
  type JsonSchema,
  list,
  PATH,
  record,
  S64,
  STRING,
  TEXT,
  U32,
  U64,
} from './schema_terms.ts';

const SECCOMP_ACTION: JsonSchema = {
  enum: [
    'SCMP_ACT_KILL',
    'SCMP_ACT_KILL_PROCESS',
    'SCMP_ACT_KILL_THREAD',
    'SCMP_ACT_TRAP',
    'SCMP_ACT_ERRNO',
    'SCMP_ACT_TRACE',
    'SCMP_ACT_ALLOW',
    'SCMP_ACT_LOG',
    'SCMP_ACT_NOTIFY',
  ],
};

const SECCOMP: JsonSchema = {
  type: 'object',
  required: ['defaultAction'],
  properties: {
    defaultAction: SECCOMP_ACTION,
    defaultErrnoRet: U32,
    architectures: list(STRING),
    flags: list(STRING),
    listenerPath: PATH,
    listenerMetadata: STRING,
    syscalls: list({
      type: 'object',
      required: ['names', 'action'],
      properties: {
        names: list(STRING, { minItems: 1, must: 'an array of at least 1 system call name' }),
        action: SECCOMP_ACTION,
        errnoRet: U32,
        args: list({
          type: 'object',
          required: ['index', 'value', 'op'],
          properties: {
            index: { type: 'integer', minimum: 0, maximum: 5 },
            value: U64,
            valueTwo: U64,
            op: {
              enum: [
                'SCMP_CMP_NE',
                'SCMP_CMP_LT',
                'SCMP_CMP_LE',
                'SCMP_CMP_EQ',
                'SCMP_CMP_GE',
                'SCMP_CMP_GT',
                'SCMP_CMP_MASKED_EQ',
              ],
            },
          },
        }),
      },
    }),
  },
};

const NAMESPACES = list(
  {
    type: 'object',
    required: ['type'],
    properties: {
      type: { enum: ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] },
      path: {
        type: 'string',
        maxLength: 4095,
        pattern: '^(/[^\\u0000]*)?$',
        must: 'an absolute path',
        fix: 'name a namespace file such as "/proc/PID/ns/net", or leave it out for a new one',
      },
    },
  },
  { maxItems: 64 },
);

const DEVICES = list({
  type: 'object',
  required: ['type', 'path'],
  properties: {
    type: { enum: ['c', 'b', 'u', 'p'] },
    path: ABSOLUTE_PATH,
    major: S64,
    minor: S64,
    fileMode: { type: 'integer', minimum: 0, maximum: 0xffffffff },
    uid: U32,
    gid: U32,
  },
});

export const LINUX_SCHEMA: JsonSchema = {
  $id: 'linux',
  type: 'object',
  properties: {
    namespaces: NAMESPACES,
    uidMappings: list({ $ref: 'id-mapping' }, { maxItems: 340 }),
    gidMappings: list({ $ref: 'id-mapping' }, { maxItems: 340 }),
    devices: DEVICES,
    cgroupsPath: { ...PATH, must: 'a path, or slice:prefix:name with --systemd-cgroup' },
    resources: { $ref: 'resources' },
    rootfsPropagation: {
      enum: [
        '',
        'shared',
        'rshared',
        'slave',
        'rslave',
        'private',
        'rprivate',
        'unbindable',
        'runbindable',
      ],
    },
    seccomp: SECCOMP,
    sysctl: record(TEXT, {
      must: 'an object of strings',
      fix: 'write values as strings: {"net.core.somaxconn": "256"}',
    }),
    maskedPaths: list(ABSOLUTE_PATH),
    readonlyPaths: list(ABSOLUTE_PATH),
    mountLabel: STRING,
    intelRdt: { type: 'object' },
    personality: {
      type: 'object',
      required: ['domain'],
      properties: { domain: { enum: ['LINUX', 'LINUX32'] }, flags: list(STRING) },
    },
    timeOffsets: record({
      type: 'object',
      properties: { secs: S64, nanosecs: { type: 'integer', minimum: 0, maximum: 999_999_999 } },
    }),
  },
};
