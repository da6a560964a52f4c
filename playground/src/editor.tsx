import 'graphiql/setup-workers/vite';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './editor.css';

import { useMonaco } from '@graphiql/react';
import type { Fetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';

import { EXAMPLES } from './examples';
import { initialEditors } from './tabs';

/** Starts GraphiQL in `container`; `onReady` is called once its editors can be typed into. */
export function mountEditor(container: HTMLElement, fetcher: Fetcher, onReady: () => void): void {
  createRoot(container).render(
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={EXAMPLES.map((example) => ({ ...example, headers: null }))}
      {...initialEditors(EXAMPLES, localStorage)}
      defaultEditorToolsVisibility="variables"
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>{null}</GraphiQL.Logo>
      <ReadySignal onReady={onReady} />
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
