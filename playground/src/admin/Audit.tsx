import { useQuery } from 'urql';

import { AuditLogDocument } from '../gql/graphql';
import { messageOf } from '../shared/errors';
import { Empty, Panel } from '../shared/Parts';
import { moment } from '../shared/time';
import { words } from '../shared/words';

/** What operators did last that belongs to no user. */
export function Audit() {
  const [{ data, error }] = useQuery({ query: AuditLogDocument, requestPolicy: 'network-only' });
  const entries = data?.auditLog?.nodes ?? [];
  return (
    <Panel title="Audit log">
      <p className="soft">Changes of keys, the catalogue and settings. What is done for a user, such as grants and blocks, stands in the history of that user.</p>
      {error !== undefined && <p className="warning" role="alert">{messageOf(error)}</p>}
      {data?.auditLog != null && entries.length === 0 && <Empty>No key, setting or part of the catalogue has been changed yet.</Empty>}
      <ul className="rows">
        {entries.map(({ number, action, actor, subject, changes, recordedAt }) => (
          <li key={number}>
            <span><strong>{words(action)}</strong> {subject}<Changes text={JSON.stringify(changes)} /></span>
            <span className="soft">{actor}<br /><time dateTime={recordedAt}>{moment(recordedAt)}</time></span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** How many signs of what changed are shown at first. */
const SHOWN = 240;

/** What changed, as it is kept; the whole of it on demand, because an import may change thousands of things at once. */
function Changes({ text }: { text: string }) {
  if (text.length <= SHOWN) return <><br /><code className="soft">{text}</code></>;
  return (
    <details>
      <summary><code className="soft">{text.slice(0, SHOWN)}…</code></summary>
      <code className="soft">{text}</code>
    </details>
  );
}
