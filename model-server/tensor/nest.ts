/** The elements of a tensor in arrays as deep as it has dimensions. */
export function nest(values: readonly unknown[], [size, ...rest]: readonly number[]): unknown {
  if (size === undefined) return values[0];
  const step = values.length / size;
  return Array.from({ length: size }, (_, at) =>
    nest(values.slice(at * step, (at + 1) * step), rest),
  );
}
