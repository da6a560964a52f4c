import { useState } from 'react';
import { useQuery } from 'urql';

import { IssueKeyDocument, KeysDocument, RevokeKeyDocument, type Scope } from '../gql/graphql';
import type { Tell } from '../shared/Announcer';
import { Panel } from '../shared/Parts';
import { day } from '../shared/time';
import { idempotencyKey } from '../shared/words';
import { useConfirm } from './Dialog';
import { Field, Form, textOf } from './Form';
import { useAction } from './useAction';

const SCOPES: readonly { scope: Scope; about: string }[] = [
  { scope: 'PROFILES_READ', about: 'reads profiles that are not private, and all of its owner' },
  { scope: 'PROGRESS_READ', about: 'reads everybody’s progress' },
  { scope: 'PROGRESS_WRITE', about: 'reads and records it' },
  { scope: 'ADMIN', about: 'may do everything' },
];

/** The API keys: who has one, a new one, and taking one away. */
export function Keys({ tell }: { tell: Tell }) {
  const [{ data }, ask] = useQuery({ query: KeysDocument });
  const { act, busy } = useAction(tell);
  const { confirm, dialog } = useConfirm();
  const [secret, setSecret] = useState<string>();
  const again = () => ask({ requestPolicy: 'network-only' });

  const issue = async (values: FormData) => {
    const owner = textOf(values, 'owner');
    const expires = textOf(values, 'expires');
    const answer = await act(IssueKeyDocument, {
      input: {
        name: textOf(values, 'name'),
        scopes: [textOf(values, 'scope') as Scope],
        owner: owner === '' ? null : { handle: owner },
        expiresAt: expires === '' ? null : new Date(expires).toISOString(),
        idempotencyKey: idempotencyKey(),
      },
    }, () => 'The key is made. It is shown this once.');
    setSecret(answer?.createApiKey?.secret ?? undefined);
    if (answer !== undefined) again();
    return answer !== undefined;
  };
  const revoke = async (number: number, name: string) => {
    const text = 'What uses it is refused from now on, for good. Another key can be issued.';
    if (!(await confirm({ title: `Revoke ${name}?`, action: 'Revoke', text }))) return;
    if (await act(RevokeKeyDocument, { input: { key: String(number), idempotencyKey: idempotencyKey() } }, () => 'The key is revoked.')) again();
  };

  return (
    <div className="panels">
      <Panel title="Issue a key" className="side">
        <Form title="A new key" action="Issue" busy={busy} onSubmit={issue}>
          <Field label="Name" name="name" required placeholder="game-server" />
          <label className="field">It
            <select name="scope">{SCOPES.map(({ scope, about }) => <option key={scope} value={scope}>{about}</option>)}</select>
          </label>
          <Field label="Owner’s handle, if it has one" name="owner" />
          <Field label="Expires" name="expires" type="date" />
        </Form>
        {secret !== undefined && <p className="secret" role="status">Keep it now, it is not shown again:<br /><code>{secret}</code></p>}
      </Panel>
      <Panel title="API keys">
        <ul className="rows">
          {data?.apiKeys?.nodes.map((key) => (
            <li key={key.number}>
              <span><strong>{key.name}</strong> <code>{key.prefix}…</code><br />
                <span className="soft">{key.scopes.join(', ').toLowerCase()}{key.owner != null && `, of ${key.owner.handle}`}, since {day(key.createdAt)}{key.expiresAt != null && `, until ${day(key.expiresAt)}`}</span></span>
              {key.revokedAt == null
                ? <button type="button" className="button danger" disabled={busy} onClick={() => void revoke(key.number, key.name)}>Revoke…<span className="hidden"> {key.name}</span></button>
                : <span className="tag">revoked {day(key.revokedAt)}</span>}
            </li>
          ))}
        </ul>
      </Panel>
      {dialog}
    </div>
  );
}
