import '../styles/base.css';
import '../styles/kit.css';
import '../styles/page.css';

import { createRoot } from 'react-dom/client';

import { Bar } from '../shared/Bar';
import { sessionFor } from '../shared/start';
import { SessionProvider } from '../shared/SessionContext';
import { restoreTheme } from '../shared/theme';
import { Page } from './Page';

restoreTheme();
const handle = decodeURIComponent(location.pathname.split('/u/')[1]?.split('/')[0] ?? '');
const root = document.getElementById('root');
if (root !== null) {
  const session = await sessionFor(handle);
  createRoot(root).render(
    <SessionProvider session={session}>
      <Bar page={`@${handle}`} />
      <Page handle={handle} />
    </SessionProvider>,
  );
}
