import { ANONYMOUS_CONFIG, loadConfig, type PlaygroundConfig } from '../shared/config';
import { Session } from '../shared/session';
import { showAllowed, showCredentials } from './credentials';
import { forgetTabs } from './tabs';

void start();

async function start(): Promise<void> {
  element('restore').addEventListener('click', () => {
    forgetTabs(localStorage);
    location.reload();
  });
  // The editor is most of the bytes: its download runs beside the question for the credentials.
  const editor = Promise.all([import('./editor'), import('./fetcher')]);
  const config = await configOrAnonymous();
  const session = new Session(config, sessionStorage, config.credentials[0]?.name);
  const sayWhatIsAllowed = () => void showAllowed(element('allowed'), session);
  showCredentials(element('credentials'), session);
  session.subscribe(sayWhatIsAllowed);
  sayWhatIsAllowed();
  try {
    const [{ mountEditor }, { createFetcher }] = await editor;
    const fetcher = createFetcher(config.graphql, () => session.token);
    mountEditor(element('editor'), fetcher, () => element('preview').remove());
  } catch (error) {
    const progress = element('progress');
    progress.textContent = `The editor could not be loaded: ${messageOf(error)}. Reload the page to try again.`;
    progress.classList.add('failed');
  }
}

async function configOrAnonymous(): Promise<PlaygroundConfig> {
  try {
    return await loadConfig();
  } catch (error) {
    const notice = element('notice');
    notice.textContent = `No credentials (playground.json: ${messageOf(error)}); requests are anonymous.`;
    notice.hidden = false;
    return ANONYMOUS_CONFIG;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found;
}
