import { z } from "zod";

import { cel } from "../cel.ts";

/** `x-kubernetes-list-type: map` with these keys. */
export function listMap(...keys: readonly string[]): Record<string, unknown> {
  return { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys };
}

export const preserveUnknown = { "x-kubernetes-preserve-unknown-fields": true } as const;

/** A DNS-1123 label or subdomain, as names of Secrets and ServiceAccounts are. */
export const ObjectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

/** A duration as Flux and the Gateway API write it: `30s`, `5m`, `1h30m`. */
export const Duration = z
  .string()
  .max(32)
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/);

export const Port = z.int32().min(1).max(65_535);

/**
 * As in a Pod, where `cpu: 0.1` may be written without quotes. No type of a structural schema is number or string, and CEL
 * does not see a field without a type: keywords that bear on one type each say what it may be.
 */
export const Quantity = z.union([z.number().min(0), z.string().max(64)]).meta({
  ...preserveUnknown,
  pattern: "^([0-9]+([.][0-9]*)?|[.][0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,3})?$",
  maxLength: 64,
  minimum: 0,
  // Neither true nor false, no list, no object.
  not: { enum: [true, false] },
  minItems: 1,
  maxItems: 0,
  minProperties: 1,
  maxProperties: 0,
});

/** An environment variable, as in a Pod. */
export const EnvVar = z.object({
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._A-Za-z][-._A-Za-z0-9]*$/),
  value: z.string().max(32_768).optional(),
  valueFrom: z.looseObject({}).optional().meta(preserveUnknown),
});

const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4_NETWORK = `(${OCTET}[.]){3}${OCTET}/(3[0-2]|[12]?[0-9])`;
const IPV6_NETWORK = "[0-9A-Fa-f:]*:[0-9A-Fa-f:]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])";

/** A range of addresses: `203.0.113.0/24`, `2001:db8::/32`. The API server checks IPv6 in full when a Service names it. */
export const Network = z
  .string()
  .max(43)
  .meta(
    cel({
      rule: `self.matches('^(${IPV4_NETWORK}|${IPV6_NETWORK})$')`,
      message: "a range of addresses must be written as 203.0.113.0/24 or 2001:db8::/32",
    }),
  );
