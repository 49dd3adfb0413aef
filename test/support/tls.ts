import "reflect-metadata";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";

import * as x509 from "@peculiar/x509";

/** The certificate authority of the tests, so that all components verify real TLS. */
export interface Authority {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY = 24 * 3600 * 1000;

x509.cryptoProvider.set(globalThis.crypto);

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + days * DAY) };
}

/** Creates the authority in `folder` (ca.crt, ca.key), or loads an existing one that is valid for another day. */
export async function createAuthority(folder: string): Promise<Authority> {
  await mkdir(folder, { recursive: true });
  const certificateFile = join(folder, "ca.crt");
  const keyFile = join(folder, "ca.key");
  const present = await Promise.all([
    readFile(certificateFile, "utf8"),
    readFile(keyFile, "utf8"),
  ]).catch(() => undefined);
  if (present !== undefined) {
    const [certificate, key] = present;
    if (new x509.X509Certificate(certificate).notAfter.getTime() > Date.now() + DAY) {
      return { certificate, key, certificateFile };
    }
  }
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(30),
    name: "CN=AIApp test authority",
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign |
          x509.KeyUsageFlags.cRLSign |
          x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pem = certificate.toString("pem");
  const key = await exportKey(keys.privateKey);
  await writeFile(keyFile, key, { mode: 0o600 });
  await writeFile(certificateFile, pem);
  return { certificate: pem, key, certificateFile };
}

/** A certificate for host names and addresses, or for a client under the name `subject`. */
export async function issueCertificate(
  authority: Pick<Authority, "certificate" | "key">,
  {
    hosts,
    subject = `CN=${hosts[0] ?? "localhost"}`,
  }: { readonly hosts: readonly string[]; readonly subject?: string },
): Promise<Certificate> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ["sign"],
  );
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(20),
    subject,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((host) => ({ type: isIP(host) === 0 ? "dns" : "ip", value: host })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
}
