import { allowed, type Viewer } from '../shared/allowed';
import { ROOT } from '../shared/root';
import type { Session } from '../shared/session';

/** Puts the control for the credential into `container`: a list of those that are offered, or a field for a token. */
export function showCredentials(container: HTMLElement, session: Session): void {
  container.replaceChildren(session.offersCredentials ? picker(session) : tokenField(session));
}

function picker(session: Session): HTMLElement {
  const select = document.createElement('select');
  select.append(new Option('Anonymous', ''), ...session.credentials.map(({ title, name }) => new Option(title, name)));
  select.value = session.name;
  select.addEventListener('change', () => session.choose(select.value));
  return labelled('Run as', select);
}

function tokenField(session: Session): HTMLElement {
  const input = document.createElement('input');
  input.type = 'password';
  input.placeholder = 'JWT or API key';
  input.autocomplete = 'off';
  input.spellcheck = false;
  input.value = session.token ?? '';
  input.addEventListener('change', () => session.useToken(input.value.trim()));
  return labelled('Token', input);
}

function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  const label = document.createElement('label');
  label.className = 'identity';
  const name = document.createElement('span');
  name.textContent = text;
  label.append(name, control);
  return label;
}

/** Says in `place` what the chosen credential may do, and where the page of its user is. */
export async function showAllowed(place: HTMLElement, session: Session): Promise<void> {
  const version = session.version;
  const viewer = await askViewer(session).catch((error: unknown) => String(error instanceof Error ? error.message : error));
  if (version !== session.version) return;
  if (typeof viewer === 'string') return place.replaceChildren(viewer);
  const sentence = document.createElement('span');
  sentence.textContent = `${viewer.kind === 'ANONYMOUS' ? 'Anonymous' : viewer.user?.handle ?? 'This credential'} ${allowed(viewer)}. `;
  place.replaceChildren(sentence);
  if (viewer.user != null) place.append(link(`u/${viewer.user.handle}`, 'Progress page'));
  if (viewer.scopes.includes('ADMIN')) place.append(link('admin', 'Operate'));
}

async function askViewer(session: Session): Promise<Viewer> {
  const response = await fetch(session.endpoint, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(session.token === undefined ? {} : { Authorization: `Bearer ${session.token}` }),
    },
    body: JSON.stringify({ query: '{ viewer { kind scopes user { handle } } }' }),
  });
  const { data, errors } = (await response.json()) as { data?: { viewer: Viewer }; errors?: { message: string }[] };
  if (data === undefined) throw new Error(errors?.[0]?.message ?? `the server answered ${response.status}`);
  return data.viewer;
}

function link(path: string, text: string): HTMLAnchorElement {
  const anchor = document.createElement('a');
  anchor.href = ROOT + path;
  anchor.textContent = text;
  return anchor;
}
