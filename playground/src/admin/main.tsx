import '../styles/base.css';
import '../styles/kit.css';
import '../styles/page.css';
import '../styles/admin.css';

import { createRoot } from 'react-dom/client';

import { Bar } from '../shared/Bar';
import { createPlainClient } from '../shared/client';
import { SessionProvider } from '../shared/SessionContext';
import { sessionFor } from '../shared/start';
import { restoreTheme } from '../shared/theme';
import { Page } from './Page';

restoreTheme();
const root = document.getElementById('root');
if (root !== null) {
  const session = await sessionFor('admin');
  createRoot(root).render(
    <SessionProvider session={session} create={createPlainClient}>
      <Bar page="Operate" />
      <Page />
    </SessionProvider>,
  );
}
