import { execa } from "execa";

/** Debian packages that the cluster needs. */
// prettier-ignore
const packages = [
  "containerd", "runc", "containernetworking-plugins", "iptables", "ipset", "conntrack", "iproute2",
  "buildah", "skopeo", "docker-registry", "debootstrap", "ca-certificates", "procps",
] as const;

/** Debian packages that only the contract tests need. */
export const testPackages = ["chromium-headless-shell"] as const;

async function missing(packages: readonly string[]): Promise<string[]> {
  const { stdout } = await execa(
    "dpkg-query",
    ["--show", "--showformat=${Package} ${db:Status-Status}\n", ...packages],
    { reject: false },
  );
  const there = new Set(
    stdout.split("\n").flatMap((line) => {
      const [name, status] = line.split(" ");
      return name !== undefined && status === "installed" ? [name] : [];
    }),
  );
  return packages.filter((name) => !there.has(name));
}

/** Installs missing packages. Does not start their services: the cluster runs its own. */
export async function ensurePackages(
  signal?: AbortSignal,
  more: readonly string[] = [],
): Promise<readonly string[]> {
  const wanted = await missing([...packages, ...more]);
  if (wanted.length === 0) return [];
  const options = {
    env: { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    ...(signal && { cancelSignal: signal }),
  };
  await execa("apt-get", ["update", "-qq"], options);
  await execa("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...wanted], options);
  return wanted;
}
