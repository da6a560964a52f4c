import { allowsPicture, type Credential, type PlaygroundConfig } from './config';

const NAME_KEY = 'waymark:as';
const TOKEN_KEY = 'waymark:token';
const NOBODY = '';

type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * As whom the page asks. In try mode one of the offered credentials is chosen by its name, so that a server that was
 * started anew, with new tokens, still knows the visitor; else the visitor's own token is kept until the tab closes.
 */
export class Session {
  private listeners = new Set<() => void>();
  /** Raised with every change; what was read under another number may not be shown any more. */
  version = 0;

  constructor(
    private config: PlaygroundConfig,
    private readonly store: Store,
    private readonly preferred?: string,
  ) {}

  get endpoint(): string {
    return this.config.graphql;
  }

  get offersCredentials(): boolean {
    return this.config.mode === 'try';
  }

  /** Whether the picture at an address may be shown. */
  showsPicture = (address: string): boolean => allowsPicture(this.config, address, document.baseURI);

  /** Whether documents are sent by their ids. */
  get sendsIds(): boolean {
    return this.config.trustedDocuments === true;
  }

  get credentials(): readonly Credential[] {
    return this.config.credentials;
  }

  /** The name of the chosen credential; empty for an anonymous visitor. */
  get name(): string {
    const chosen = this.store.getItem(NAME_KEY);
    if (chosen === NOBODY || (chosen !== null && this.find(chosen) !== undefined)) return chosen;
    return this.preferred === undefined ? '' : (this.find(this.preferred)?.name ?? '');
  }

  /** What goes behind `Authorization: Bearer`; `undefined` for an anonymous visitor. */
  get token(): string | undefined {
    if (this.offersCredentials) return this.find(this.name)?.token;
    return this.store.getItem(TOKEN_KEY) || undefined;
  }

  choose(name: string): void {
    this.store.setItem(NAME_KEY, name);
    this.changed();
  }

  useToken(token: string): void {
    if (token === '') this.store.removeItem(TOKEN_KEY);
    else this.store.setItem(TOKEN_KEY, token);
    this.changed();
  }

  /** Takes what the server says now. Says whether the token is another one. */
  renew(config: PlaygroundConfig): boolean {
    const before = this.token;
    this.config = config;
    return this.token !== before;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private find(name: string): Credential | undefined {
    return this.credentials.find((one) => one.name.toLowerCase() === name.toLowerCase());
  }

  private changed(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
