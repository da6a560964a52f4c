import { useState } from 'react';
import { useQuery } from 'urql';

import { SearchCatalogueDocument } from '../gql/graphql';
import { messageOf } from '../shared/errors';
import { Picture } from '../kit';
import { Empty, Panel } from '../shared/Parts';
import { workload } from '../shared/time';
import { count, dotted } from '../shared/words';
import { useDelayed } from './useDelayed';

/** Games with their achievements, and resources, by their titles. */
export function Catalogue() {
  const [text, setText] = useState('');
  const wanted = useDelayed(text.trim());
  const [{ data, error, fetching }] = useQuery({ query: SearchCatalogueDocument, variables: { text: wanted }, pause: wanted === '' });
  const shown = wanted === '' ? undefined : data;
  return (
    <Panel title="Catalogue" aside={shown !== undefined && <span className="tag">{count(shown.games.totalCount ?? 0, 'game')}, {count(shown.resources.totalCount ?? 0, 'resource')}</span>}>
      <label className="field">Title of a game or resource
        <input type="search" value={text} onChange={({ target }) => setText(target.value)} placeholder="sort" />
      </label>
      {error !== undefined && <p className="warning" role="alert">{messageOf(error)}</p>}
      {shown !== undefined && !fetching && shown.games.nodes.length + shown.resources.nodes.length === 0 && <Empty>Nothing of this title.</Empty>}
      <div className="found">
        {shown?.games.nodes.map((game) => (
          <details key={game.id}>
            <summary><Picture address={game.image} className="avatar">{null}</Picture><strong>{game.title}</strong> <code>{game.key}</code> <span className="soft">{dotted(game.platform, count(game.numPossible, 'achievement'))}</span></summary>
            <ul className="rows">
              {game.achievements.nodes.map(({ id, key, title, points, badge }) => <li key={id}><span><Picture address={badge} className="avatar">{null}</Picture>{title}</span><code>{key}</code><span className="soft">{count(points, 'point')}</span></li>)}
            </ul>
          </details>
        ))}
        <ul className="rows">
          {shown?.resources.nodes.map(({ id, key, title, type, estimatedMinutes }) => (
            <li key={id}><span>{title}</span><code>{key}</code><span className="soft">{dotted(type, estimatedMinutes != null && workload(estimatedMinutes))}</span></li>
          ))}
        </ul>
      </div>
    </Panel>
  );
}
