import { type GraphiQLPlugin, useGraphiQLActions, useGraphiQL } from '@graphiql/react';
import { useEffect, useRef } from 'react';

import { type Example, EXAMPLES } from './examples';

/** The list of examples beside the editor: what each shows, and as whom to run it. */
export const EXAMPLES_PLUGIN: GraphiQLPlugin = { title: 'Examples', icon: Icon, content: List };

const GROUPS: readonly [string, (example: Example) => boolean][] = [
  ['For everybody', ({ credential }) => credential === undefined],
  ['For apps', ({ credential }) => credential === 'app'],
  ['For operators', ({ credential }) => credential === 'admin'],
];

function Icon() {
  return (
    <svg viewBox="0 0 24 24" width="1em" height="1em" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinejoin="round">
      <path d="M4 5h10M4 10h7M4 15h5M13 11l7 4.500-7 4.500z" />
    </svg>
  );
}

function List() {
  const open = useOpen();
  return (
    <section className="examples" aria-label="Examples">
      {GROUPS.map(([title, belongs]) => (
        <div key={title}>
          <h3>{title}</h3>
          <ul>
            {EXAMPLES.filter(belongs).map((example) => (
              <li key={example.name}>
                <button type="button" onClick={() => open(example)}>
                  <strong>{example.name}</strong>
                  <span>{example.about}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

/** Shows an example in a tab of its own; one that is open already is shown again as it was left. */
function useOpen(): (example: Example) => void {
  const { addTab, changeTab } = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const active = useGraphiQL((state) => state.activeTabIndex);
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const wanted = useRef<Example>(undefined);
  useEffect(() => {
    const example = wanted.current;
    // The new tab is the last one; its editors are empty until it is shown.
    if (example === undefined || active !== tabs.length - 1) return;
    wanted.current = undefined;
    queryEditor?.setValue(example.query);
    variableEditor?.setValue(example.variables ?? '');
  }, [active, tabs.length, queryEditor, variableEditor]);
  return (example) => {
    const at = tabs.findIndex(({ title }) => title === example.name);
    if (at >= 0) return changeTab(at);
    wanted.current = example;
    addTab();
  };
}
