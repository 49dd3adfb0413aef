/** One word for a POSIX shell: a hint is pasted, and a tenant writes the spec. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9:/._+=@%,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
