/** Whether two texts are the same quantity in different units, such as `0.5` and `500m`. */
export function sameQuantity(a: string, b: string): boolean {
  const value = quantity(a);
  return value !== undefined && value === quantity(b);
}

const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function quantity(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/.exec(text) ?? [];
  // Whole thousandths, as Kubernetes keeps them.
  return number === "" ? undefined : Math.round(Number(number) * (UNITS[unit] ?? 1) * 1000);
}
