import { useState } from 'react';
import { type AnyVariables, type TypedDocumentNode, useClient } from 'urql';

import { messageOf, plainly } from '../shared/errors';
import type { Tell } from '../shared/Announcer';

interface Refusal {
  readonly code: string;
  readonly message: string;
}

interface Payload {
  readonly userErrors?: readonly Refusal[];
  readonly results?: readonly { readonly error?: Refusal | null }[];
}

/** Why a mutation did not do what was asked; `undefined` when it did. */
export function refusalOf(data: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const payload = Object.values(data ?? {}).find((value): value is Payload => typeof value === 'object' && value !== null);
  const refusal = payload?.userErrors?.[0] ?? payload?.results?.find(({ error }) => error != null)?.error;
  return refusal == null ? undefined : `${plainly(refusal.message)} (${refusal.code})`;
}

/** Runs mutations one at a time, and says what came of them. Answers the data of those that were not refused. */
export function useAction(tell: Tell) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  async function act<D extends object, V extends AnyVariables>(
    mutation: TypedDocumentNode<D, V>,
    variables: V,
    done?: (data: D) => string,
  ): Promise<D | undefined> {
    setBusy(true);
    const { data, error } = await client.mutation(mutation, variables).toPromise();
    setBusy(false);
    const refusal = error === undefined ? refusalOf(data as Readonly<Record<string, unknown>> | undefined) : messageOf(error);
    if (refusal !== undefined || data === undefined) {
      tell(refusal ?? 'The server answered nothing.', true);
      return undefined;
    }
    if (done !== undefined) tell(done(data));
    return data;
  }
  return { act, busy };
}
