import { z } from "zod";

import { cel } from "../cel.ts";
import { listMap, ObjectName } from "./fields.ts";

/** Where image and model come from. */

export const Model = z.object({
  store: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^https?:\/\/[^/?#@\s]+\/[^?#\s]+$/)
    .meta(
      cel({
        rule: "!self.endsWith('/')",
        message:
          "store must not end in '/': write https://<account>.blob.core.windows.net/<container>",
      }),
    )
    .describe(
      "The Blob container that holds the models: https://<account>.blob.core.windows.net/<container>. A SAS token belongs in the Secret named by credentials.storage, not in the URL.",
    ),
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)*$/,
    )
    .describe("The model's folder in the store: versions live at <store>/<name>/<version>/."),
  order: z
    .enum(["Auto", "Numeric", "SemVer", "Date"])
    .default("Auto")
    .describe(
      "How versions compare for latest and ranges. Auto tries dates first, then semantic versions with 7 read as 7.0.0.",
    ),
  requireManifest: z
    .boolean()
    .optional()
    .describe(
      "Count only versions whose manifest.json is there. Defaults to true for latest and ranges, to false for a version named exactly.",
    ),
  files: z
    .array(
      z.object({
        name: z
          .string()
          .min(1)
          .max(512)
          .regex(/^[A-Za-z0-9_.@+=,-]+(\/[A-Za-z0-9_.@+=,-]+)*$/)
          .meta(
            cel({
              rule: "!self.split('/').exists(s, s == '.' || s == '..')",
              message: "name must be a path inside the bundle, without '.' or '..'",
            }),
          )
          .describe("A file of the bundle."),
        mountPath: z
          .string()
          .min(2)
          .max(512)
          .regex(/^\/[^:]+$/)
          .describe("Where the code image expects it: an absolute path."),
      }),
    )
    .max(32)
    .optional()
    .meta(listMap("mountPath"))
    .describe("Single files mounted where a code image of your own expects them."),
});
export type Model = z.infer<typeof Model>;

export const ImagePolicy = z
  .object({
    semver: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe(
        'Follow the newest tag in a range, such as ">=1.4 <2". Tags that are no semantic versions (1.4.2, v1.4.2) do not count.',
      ),
    pattern: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .meta(
        cel(
          {
            rule: "self.contains('(')",
            message: "pattern must hold one group, around the number: main-[0-9a-f]+-([0-9]+)",
          },
          // What is no regular expression fails in here.
          { rule: "'0'.matches(self) in [true, false]", message: "pattern must be RE2" },
        ),
      )
      .describe(
        "Follow the tag with the highest number: a regular expression (RE2) for the whole tag, with one group around the number.",
      ),
  })
  .meta(
    cel({
      rule: "has(self.semver) != has(self.pattern)",
      message: "imagePolicy must hold either semver or pattern",
    }),
  );
export type ImagePolicy = z.infer<typeof ImagePolicy>;

/** `spec.credentials`: for when workload identity does not serve. */
export const Credentials = z
  .object({
    storage: ObjectName.optional().describe(
      "A Secret in this namespace with accountName and accountKey, or sasToken; and endpoint, the store's host, where that is not a host of Azure.",
    ),
    registry: ObjectName.optional().describe(
      "A Secret in this namespace of type kubernetes.io/dockerconfigjson; the pods pull with it too.",
    ),
    anonymous: z
      .array(z.enum(["Registry", "Storage"]))
      .max(2)
      .optional()
      .meta({ "x-kubernetes-list-type": "set" })
      .describe("What is read without any identity. Nothing is, unless said here."),
  })
  .meta(
    cel(
      {
        rule: "!(has(self.storage) && has(self.anonymous) && 'Storage' in self.anonymous)",
        message: "credentials.storage and anonymous Storage exclude each other: remove one",
      },
      {
        rule: "!(has(self.registry) && has(self.anonymous) && 'Registry' in self.anonymous)",
        message: "credentials.registry and anonymous Registry exclude each other: remove one",
      },
    ),
  )
  .optional()
  .describe("For when workload identity does not serve.");
