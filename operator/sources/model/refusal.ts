import { parseHttpDate } from "../../../crds/grammar/http-date.ts";
import { parseTime } from "../../../crds/grammar/rfc3339.ts";
import type { Identity } from "../identity.ts";

/** Why Blob Storage refused a request, as far as its error code and the identity show, and what to do about it. */

/**
 * @param code Azure's error code, such as AuthorizationPermissionMismatch; empty when there was none
 * @param date the Date header of the response: the clock that a SAS token is checked by
 */
export function explainRefusal(
  code: string,
  identity: Identity | undefined,
  date: string | undefined,
): string {
  const fault = identity?.kind === "sas" ? faultOf(identity.sasToken, date) : undefined;
  if (fault !== undefined) return fault;
  if (code === "AuthorizationSourceIPMismatch")
    return "the SAS token admits other addresses (sip): create one for the cluster's outbound addresses";
  // Azure returns this code for its network rules, whatever the identity.
  if (code === "AuthorizationFailure") {
    const first =
      identity?.kind === "accountKey" ? "check the key in the Secret; if it is right, " : "";
    return `${first}the storage account's network rules may exclude the cluster: allow its subnet or outbound addresses in the account's firewall`;
  }
  if (code === "KeyBasedAuthenticationNotPermitted")
    return "the storage account permits no account keys: use workload identity";
  switch (identity?.kind) {
    case "sas":
      return explainSas(identity.sasToken, code);
    case "accountKey":
      return "check the key: accountName and accountKey in the Secret must be those of this storage account, and the key may have been rotated";
    case "workload":
      return `grant the managed identity of ServiceAccount ${identity.namespace}/${identity.serviceAccount} the role Storage Blob Data Reader on the container (takes minutes to take effect)`;
    case "anonymous":
      return "the container is not public: name a Secret in spec.credentials.storage, or use workload identity";
    case "basic":
    case undefined:
      return "check the key or SAS token in the Secret, or the role Storage Blob Data Reader";
  }
}

/** What the operator and the pods do with a token, as `sp` writes it. */
const NEEDED = ["r", "l"];

/** What the token itself shows: its times, by the clock of the store, and its permissions. */
function faultOf(sasToken: string, date: string | undefined): string | undefined {
  const token = new URLSearchParams(sasToken);
  const now = parseHttpDate(date ?? "");
  const [expiry, start] = [token.get("se"), token.get("st")];
  const [expiresAt, startsAt] = [timeOf(expiry), timeOf(start)];
  if (now !== undefined && expiresAt !== undefined && expiresAt <= now)
    return `the SAS token expired at ${expiry}: create a new one, and put it into the Secret`;
  if (now !== undefined && startsAt !== undefined && startsAt > now)
    return `the SAS token is valid from ${start} on: wait, or create one with an earlier start`;
  const permissions = token.get("sp");
  if (permissions !== null && NEEDED.some((one) => !permissions.includes(one)))
    return `the SAS token permits only ${JSON.stringify(permissions.slice(0, 20))}: create one that permits read and list (sp=rl)`;
  return undefined;
}

function explainSas(sasToken: string, code: string): string {
  return code === "AuthorizationResourceTypeMismatch" || /(^|&)sr=b(&|$)/.test(sasToken)
    ? "the SAS token is for another kind of resource: create one for the container (sr=c), or for containers and objects of the account (srt=co)"
    : "check the SAS token in the Secret: it is damaged, of another storage account or container, or its key was rotated";
}

/** Milliseconds of a SAS time: a date, with or without a time of day. It is always in UTC. */
function timeOf(text: string | null): number | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2})(?::(\d{2})(?:\.\d+)?)?Z)?$/.exec(text ?? "");
  if (match === null) return undefined;
  const [, day = "", minute = "00:00", second = "00"] = match;
  return parseTime(`${day}T${minute}:${second}Z`);
}
