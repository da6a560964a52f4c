import { type ReactNode, useId } from 'react';

import type { Missing } from './errors';

/** A part of a page with its heading. */
export function Panel({ title, id, aside, className = '', children }: { title: string; id?: string; aside?: ReactNode; className?: string; children: ReactNode }) {
  const heading = useId();
  return (
    <section id={id} className={`panel ${className}`} aria-labelledby={heading}>
      <header className="panel-head">
        <h2 id={heading}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** What stands where a part of somebody's progress would be, when it is not shown. */
export function NotShown({ why, onRetry }: { why: Missing; onRetry?: (() => void) | undefined }) {
  if (why === 'failed') {
    return (
      <div className="not-shown" role="alert">
        <p>This part could not be loaded.</p>
        {onRetry !== undefined && <button type="button" className="button" onClick={onRetry}>Try again</button>}
      </div>
    );
  }
  return (
    <div className="not-shown">
      <svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true"><path d="M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3" /></svg>
      <p><strong>Private</strong><br />Only this person, and apps they use, can see it.</p>
    </div>
  );
}

/** What stands there when there is nothing yet. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
