import { useCallback, useEffect, useState } from 'react';

/** Says something to the visitor; `true` when it is bad news. */
export type Tell = (text: string, isBad?: boolean) => void;

const SHOWN_MS = 7_000;

interface Notice { text: string; isBad: boolean; number: number }

/** One line at the foot of the page on what the last action did, also for those who only hear the page. */
export function useAnnouncer() {
  const [notice, setNotice] = useState<Notice>();
  const tell: Tell = useCallback((text, isBad = false) => setNotice((last) => ({ text, isBad, number: (last?.number ?? 0) + 1 })), []);
  useEffect(() => {
    if (notice === undefined) return undefined;
    const timer = setTimeout(() => setNotice(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  const announcer = (
    <div className="announcer" role="status" aria-live="polite">
      {notice !== undefined && <p key={notice.number} className={notice.isBad ? 'notice bad' : 'notice'}>{notice.text}</p>}
    </div>
  );
  return { tell, announcer };
}
