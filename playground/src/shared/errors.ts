import type { CombinedError } from '@urql/core';

/** Why a part of an answer is missing. */
export type Missing = 'private' | 'failed';

interface Fault {
  readonly message: string;
  readonly path?: readonly (string | number)[] | undefined;
  readonly extensions?: Record<string, unknown> | undefined;
}

type Faults = Pick<CombinedError, 'graphQLErrors'> | undefined;

/** Why the field at this path is null; `undefined` when no error says so, and it is simply not there. */
export function whyMissing(error: Faults, ...path: string[]): Missing | undefined {
  const fault = error?.graphQLErrors.find((one) => startsWith(one.path ?? [], path));
  if (fault === undefined) return undefined;
  return codeOf(fault) === 'FORBIDDEN' ? 'private' : 'failed';
}

/** The code of an error of the server. */
export function codeOf(fault: Fault): string | undefined {
  const code = fault.extensions?.['code'];
  return typeof code === 'string' ? code : undefined;
}

/** Whether the server did not accept the credential. */
export function isCredentialRefused(error: CombinedError | undefined): boolean {
  return error?.graphQLErrors.some((fault) => codeOf(fault) === 'INVALID_CREDENTIAL') ?? false;
}

/** Whether the server could not be reached at all. */
export function isUnreachable(error: CombinedError | undefined): boolean {
  return error?.networkError != null && error.graphQLErrors.length === 0;
}

/** What to tell a person about a failed request. */
export function messageOf(error: CombinedError): string {
  if (isUnreachable(error)) return 'The server cannot be reached.';
  return plainly(error.graphQLErrors[0]?.message ?? error.message);
}

/** What the server says, without the place in the request, which is not what somebody filled in. */
export function plainly(message: string): string {
  const text = message.replace(/^\w+(?:\.\w+)+ takes /, 'expected ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function startsWith(path: readonly (string | number)[], beginning: readonly string[]): boolean {
  return beginning.every((part, at) => path[at] === part);
}
