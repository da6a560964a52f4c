import type { Credential, PlaygroundConfig } from './config';

const STORAGE_KEY = 'waymark:token';

/** The bearer token of the next request; `undefined` is anonymous. */
export type CurrentToken = () => string | undefined;

/**
 * Puts the control for the chosen mode into `container`: a list of demo credentials, the first one
 * chosen, or a field for a token, which lives as long as the browser tab.
 */
export function showCredentials(container: HTMLElement, config: PlaygroundConfig): CurrentToken {
  return config.mode === 'try' ? picker(container, config.credentials) : tokenField(container, sessionStorage);
}

function picker(container: HTMLElement, credentials: readonly Credential[]): CurrentToken {
  const select = document.createElement('select');
  select.append(new Option('Anonymous', ''), ...credentials.map(({ title, name }) => new Option(title, name)));
  select.value = credentials[0]?.name ?? '';
  container.replaceChildren(labelled('Run as', select));
  return () => credentials.find(({ name }) => name === select.value)?.token;
}

function tokenField(container: HTMLElement, storage: Storage): CurrentToken {
  const input = document.createElement('input');
  input.type = 'password';
  input.placeholder = 'JWT or API key';
  input.autocomplete = 'off';
  input.spellcheck = false;
  input.value = storage.getItem(STORAGE_KEY) ?? '';
  input.addEventListener('input', () => storage.setItem(STORAGE_KEY, input.value.trim()));
  container.replaceChildren(labelled('Token', input));
  return () => input.value.trim() || undefined;
}

function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  const label = document.createElement('label');
  label.append(text, control);
  return label;
}
