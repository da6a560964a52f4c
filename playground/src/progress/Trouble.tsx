import type { CombinedError } from 'urql';

import { isCredentialRefused, isUnreachable, messageOf } from '../shared/errors';
import { useSession } from '../shared/SessionContext';

/** The page while its answer is on the way. */
export function Loading() {
  return (
    <main className="page" aria-busy="true">
      <p className="hidden" role="status">Loading…</p>
      <div className="hero loading" />
      <div className="panels">
        <div className="panel wide loading tall" />
        <div className="panel loading tall" />
        <div className="panel wide loading tall" />
      </div>
    </main>
  );
}

/** The page when there is nobody to show. */
export function Trouble({ handle, error, onRetry }: { handle: string; error: CombinedError | undefined; onRetry: () => void }) {
  const session = useSession();
  const { title, text } = explain(handle, error, session.offersCredentials);
  return (
    <main className="page trouble">
      <svg viewBox="0 0 48 48" width="56" height="56" aria-hidden="true"><path d="M10 14l6.500 20L24 19l7.500 15L38 14" /></svg>
      <h1>{title}</h1>
      <p role="alert">{text}</p>
      <button type="button" className="button primary" onClick={onRetry}>Try again</button>
    </main>
  );
}

/** What to tell a visitor who sees nobody. */
export function explain(handle: string, error: CombinedError | undefined, offersCredentials: boolean): { title: string; text: string } {
  if (error === undefined) {
    const how = offersCredentials ? 'Choose somebody under “View as”' : 'Give a token in the bar above';
    return { title: 'Nobody here', text: `There is no user called “${handle}” whom you may see. ${how} to see whom others may.` };
  }
  if (isCredentialRefused(error)) {
    return { title: 'This token is not accepted', text: `${messageOf(error)}. Give another one in the bar above, or none at all.` };
  }
  if (isUnreachable(error)) return { title: 'The server does not answer', text: 'It may be starting, or the connection may be gone.' };
  return { title: 'This page could not be loaded', text: messageOf(error) };
}
