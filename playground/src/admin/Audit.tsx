import { useQuery } from 'urql';

import { AuditLogDocument } from '../gql/graphql';
import { Empty, Panel } from '../shared/Parts';
import { moment } from '../shared/time';

/** What operators did last, and what belongs to no user. */
export function Audit() {
  const [{ data }] = useQuery({ query: AuditLogDocument, requestPolicy: 'network-only' });
  const entries = data?.auditLog?.nodes ?? [];
  return (
    <Panel title="Audit log">
      {data !== undefined && entries.length === 0 && <Empty>Nothing has been done yet.</Empty>}
      <ul className="rows">
        {entries.map(({ number, action, actor, subject, changes, recordedAt }) => (
          <li key={number}>
            <span><strong>{action}</strong> {subject}<br /><code className="soft">{JSON.stringify(changes)}</code></span>
            <span className="soft">{actor}<br /><time dateTime={recordedAt}>{moment(recordedAt)}</time></span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
