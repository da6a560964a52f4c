/** `IN_PROGRESS` as people write it: `In progress`. */
export function words(code: string): string {
  const text = code.toLowerCase().replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const parts = name.split(/[\s_-]+/).filter(Boolean);
  const letters = parts.length > 1 ? [parts[0], parts.at(-1)].map((part) => part?.charAt(0)) : [name.slice(0, 2)];
  return letters.join('').toUpperCase();
}

/** A hue, 0 to 359, that is always the same for the same text. */
export function hueOf(text: string): number {
  let hash = 0;
  for (const char of text) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) | 0;
  return Math.abs(hash) % 360;
}

/** A whole number for people, with separators: `1,300`. */
export function number(value: number): string {
  return value.toLocaleString('en');
}

/** A count with its noun: `1 game`, `1,300 games`. */
export function count(value: number, singular: string, plural = `${singular}s`): string {
  return `${number(value)} ${value === 1 ? singular : plural}`;
}

/** A decimal number of credits for people, with separators: `1,250.5`. */
export function credits(exact: string): string {
  const [whole = '0', fraction] = exact.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** The parts that there are, with a dot between them: `PC · 9 months ago`. */
export function dotted(...parts: readonly (string | null | undefined | false)[]): string {
  return parts.filter((part) => part != null && part !== false && part !== '').join(' · ');
}

/** A key that makes a write safe to repeat. */
export function idempotencyKey(): string {
  // `randomUUID` exists on https and localhost only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
