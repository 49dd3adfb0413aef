import { z } from "zod";

/**
 * The model bundle: what one version folder `<store>/<name>/<version>/` holds.
 * `manifest.json` is written last; a folder without it is not published yet.
 */
export const MANIFEST = "manifest.json";

/** The most that is read of a manifest, in bytes: enough for 10,000 files. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** A path inside the bundle: relative, forward slashes, no segment that climbs or hides, nothing a shell or URL could misread. */
export const BundlePath = z
  .string()
  .max(512)
  .regex(
    /^(?!\.{1,2}(?:\/|$))[A-Za-z0-9_.@+=,-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9_.@+=,-]+)*$/,
    "must be a relative path of letters, digits and _.@+=,- with no '..' segment",
  );
export type BundlePath = z.infer<typeof BundlePath>;

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hex characters");
export type Sha256 = z.infer<typeof Sha256>;

export const ManifestFile = z.object({
  path: BundlePath,
  /** Bytes. */
  size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  sha256: Sha256,
});
export type ManifestFile = z.infer<typeof ManifestFile>;

export const Manifest = z.object({
  /** The manifest's own format. */
  formatVersion: z.literal(1),
  name: z.string().min(1).max(253),
  version: z.string().min(1).max(253),
  /** RFC 3339. For people, never compared. */
  createdAt: z.string().max(64).optional(),
  files: z
    .array(ManifestFile)
    .min(1)
    .max(10_000)
    .refine(
      (files) => new Set(files.map((file) => file.path)).size === files.length,
      "names a file twice",
    )
    .refine(
      (files) => files.every((file) => file.path !== MANIFEST),
      "must not list manifest.json itself",
    ),
});
export type Manifest = z.infer<typeof Manifest>;
