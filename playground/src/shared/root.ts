/** The path below which the server's own addresses lie, ending in a slash. */
export const ROOT = import.meta.env.DEV ? '/' : new URL('../', import.meta.url).pathname;
