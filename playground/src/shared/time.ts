const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time for people, by its two largest units: `61 days, 16 hours`. */
export function duration(seconds: number): string {
  const rest = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(rest / DAY), Math.floor((rest % DAY) / HOUR), Math.floor((rest % HOUR) / MINUTE)];
  if (days > 0) return join(unit(days, 'day'), hours > 0 && days < 14 ? unit(hours, 'hour') : '');
  if (hours > 0) return join(unit(hours, 'hour'), minutes > 0 ? unit(minutes, 'minute') : '');
  if (minutes > 0) return unit(minutes, 'minute');
  return unit(rest, 'second');
}

/** How much work something is, in hours, because nobody studies by day and night: `45 min`, `6 h 30 min`, `408 h`. */
export function workload(minutes: number): string {
  const whole = Math.max(0, Math.round(minutes));
  const [hours, rest] = [Math.floor(whole / MINUTE), whole % MINUTE];
  if (hours === 0) return `${rest} min`;
  return hours < 10 && rest > 0 ? `${hours} h ${rest} min` : `${Math.round(whole / MINUTE).toLocaleString('en')} h`;
}

/** How long ago, or in how long, an instant is: `3 days ago`, `in 2 hours`. */
export function relative(instant: string, now: number): string {
  const seconds = Math.round((Date.parse(instant) - now) / 1000);
  const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const size = Math.abs(seconds);
  if (size < 45) return seconds <= 0 ? 'just now' : 'in a moment';
  if (size < HOUR) return format.format(Math.round(seconds / MINUTE), 'minute');
  if (size < DAY) return format.format(Math.round(seconds / HOUR), 'hour');
  if (size < 60 * DAY) return format.format(Math.round(seconds / DAY), 'day');
  return format.format(Math.round(seconds / (30 * DAY)), 'month');
}

/** A date for people: `15 Mar 2026`. */
export function day(instant: string): string {
  return new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' }).format(Date.parse(instant));
}

/** A date with its time. */
export function moment(instant: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' }).format(Date.parse(instant));
}

function unit(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== '').join(', ');
}
