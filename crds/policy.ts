import { z } from "zod";

import { Duration, Network, ObjectName } from "./aiapp/fields.ts";
import { cel } from "./cel.ts";
import { LabelSelector } from "./label-selector.ts";
import { API_VERSION, POLICY_KIND } from "./names.ts";

/**
 * The AIAppSourcePolicy resource: what the AIApps of the namespaces that it selects may name. The zod source of the CRD
 * (`generate.ts`) and of what the operator reads. `grammar/allowance.ts` matches.
 */

const HOST = "[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?";

const Repository = z
  .string()
  .max(512)
  .meta(
    cel({
      rule: `self.matches('^${HOST}(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$') && self.matches('^[^/]*[.:]|^localhost(/|$)')`,
      message:
        "images must name registries or repositories, without a tag, a digest or a slash at the end: contoso.azurecr.io, or contoso.azurecr.io/cats",
    }),
  );

const Location = z
  .string()
  .max(1024)
  .meta(
    cel({
      rule: `self.matches('^https?://${HOST}(/[A-Za-z0-9$][A-Za-z0-9._-]*)*$')`,
      message:
        "stores must be URLs of accounts, containers or folders, without a slash at the end: https://contoso.blob.core.windows.net/models",
    }),
  );

const DNSName = z
  .string()
  .max(253)
  .meta(
    cel({
      rule: "self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
      message:
        "hosts must be DNS names in lower case: cats.contoso.com, or *.contoso.com for all below contoso.com",
    }),
  );

const MAX_ENTRIES = 128;

function listOf(entry: z.ZodString) {
  return z.array(entry).max(MAX_ENTRIES).optional().meta({ "x-kubernetes-list-type": "set" });
}

export const AIAppSourcePolicySpec = z.object({
  namespaceSelector: LabelSelector.optional().describe(
    "The namespaces that this policy is for, by their labels. All namespaces when it is not set or empty.",
  ),
  images: listOf(Repository).describe(
    "Registries (contoso.azurecr.io) and repositories with those below them (contoso.azurecr.io/cats) that images may come from.",
  ),
  stores: listOf(Location).describe(
    "Accounts (https://contoso.blob.core.windows.net), containers and folders in them (https://contoso.blob.core.windows.net/models/cats) that models may come from.",
  ),
  hosts: listOf(DNSName).describe(
    "DNS names that AIApps may take: cats.contoso.com, or *.contoso.com for all below contoso.com.",
  ),
  loadBalancerSourceRanges: listOf(Network).describe(
    "The addresses that load balancers may accept connections from: an AIApp must set service.loadBalancerSourceRanges within these.",
  ),
  serviceAccountNames: listOf(ObjectName).describe(
    "The ServiceAccounts that the pods may run as, and whose identity reads the sources.",
  ),
  minInterval: Duration.optional()
    .meta(
      cel({
        rule: "duration(self) >= duration('1s') && duration(self) <= duration('24h')",
        message: "minInterval must be between 1s and 24h",
      }),
    )
    .describe("The shortest interval at which AIApps may poll their sources."),
});
export type AIAppSourcePolicySpec = z.infer<typeof AIAppSourcePolicySpec>;

/** An AIAppSourcePolicy as read from the API server. */
export const AIAppSourcePolicy = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(POLICY_KIND),
  metadata: z.looseObject({ name: z.string() }),
  spec: AIAppSourcePolicySpec,
});
export type AIAppSourcePolicy = z.infer<typeof AIAppSourcePolicy>;
