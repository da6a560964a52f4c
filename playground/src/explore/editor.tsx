import 'graphiql/setup-workers/vite';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './editor.css';

import { useDocExplorer } from '@graphiql/plugin-doc-explorer';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { useGraphiQL, useMonaco } from '@graphiql/react';
import type { Fetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';

import { FIRST_EXAMPLES } from './examples';
import { EXAMPLES_PLUGIN } from './examplesPlugin';
import { initialEditors } from './tabs';

/** Below this width the list of examples is closed at first: it would leave no room for the editor. */
const WIDE = '(min-width: 1100px)';

const PLUGINS = [HISTORY_PLUGIN, explorerPlugin(), EXAMPLES_PLUGIN];

/** Starts GraphiQL in `container`; `onReady` is called once its editors can be typed into. */
export function mountEditor(container: HTMLElement, fetcher: Fetcher, onReady: () => void): void {
  createRoot(container).render(
    <GraphiQL
      fetcher={fetcher}
      plugins={PLUGINS}
      {...(matchMedia(WIDE).matches ? { visiblePlugin: EXAMPLES_PLUGIN.title } : {})}
      defaultTabs={FIRST_EXAMPLES.map(({ query, variables }) => ({ query, variables, headers: null }))}
      {...initialEditors(FIRST_EXAMPLES, localStorage)}
      defaultEditorToolsVisibility="variables"
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>{null}</GraphiQL.Logo>
      <ReadySignal onReady={onReady} />
      <FromTheTop />
    </GraphiQL>,
  );
}

function ReadySignal({ onReady }: { onReady: () => void }) {
  const hasMonaco = useMonaco((state) => state.monaco !== undefined);
  useEffect(() => {
    // The editors are created by effects of the same render; they are painted with the next frame.
    if (hasMonaco) requestAnimationFrame(onReady);
  }, [hasMonaco, onReady]);
  return null;
}

/** Begins each panel beside the editor, and each page of the documentation, at its top: they share one box that scrolls. */
function FromTheTop() {
  const panel = useGraphiQL((state) => state.visiblePlugin);
  const page = useDocExplorer().at(-1);
  useEffect(() => {
    document.querySelector('.graphiql-plugin')?.scrollTo(0, 0);
  }, [panel, page]);
  return null;
}
