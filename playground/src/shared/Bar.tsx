import { type ReactNode, useState } from 'react';

import logo from '../waymark.svg';
import { ROOT } from './root';
import { useSession } from './SessionContext';
import { chooseTheme, currentTheme } from './theme';

/** The bar on top of every page: where one is, as whom one looks, light or dark. */
export function Bar({ page, children }: { page: string; children?: ReactNode }) {
  return (
    <header className="bar">
      <a className="brand" href={ROOT}><img src={logo} alt="" width="22" height="22" />Waymark</a>
      <nav className="links" aria-label="Pages">
        <a href={ROOT}>Explore</a>
        <span aria-current="page">{page}</span>
      </nav>
      {children}
      <Identity />
      <ThemeButton />
    </header>
  );
}

function Identity() {
  const session = useSession();
  return session.offersCredentials ? <Picker /> : <TokenField />;
}

function Picker() {
  const session = useSession();
  return (
    <label className="identity">
      <span>View as</span>
      <select value={session.name} onChange={(event) => session.choose(event.target.value)}>
        <option value="">Anonymous</option>
        {session.credentials.map(({ name, title }) => <option key={name} value={name}>{title}</option>)}
      </select>
    </label>
  );
}

function TokenField() {
  const session = useSession();
  const [token, setToken] = useState(session.token ?? '');
  return (
    <form className="identity" onSubmit={(event) => { event.preventDefault(); session.useToken(token.trim()); }}>
      <label>
        <span>Token</span>
        <input type="password" value={token} placeholder="JWT or API key" autoComplete="off" spellCheck={false}
          onChange={(event) => setToken(event.target.value)} />
      </label>
      <button type="submit" className="button">Use</button>
    </form>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button type="button" className="button icon" aria-label={`Show the ${other} theme`}
      onClick={() => { chooseTheme(other); setTheme(other); }}>
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
        {theme === 'dark'
          ? <path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6l1.5 1.5m9.8 9.8l1.5 1.5m0-12.8l-1.5 1.5m-9.8 9.8l-1.5 1.5M12 8a4 4 0 100 8 4 4 0 000-8z" />
          : <path d="M20 14.5A8.5 8.5 0 119.5 4a7 7 0 0010.5 10.5z" />}
      </svg>
    </button>
  );
}
