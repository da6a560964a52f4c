import type { Area } from './events';

const DRAWINGS: Record<Area, string> = {
  season: 'M7 20V5m0 1h10l-2.500 3.500L17 13H7',
  credits: 'M12 4l7 8-7 8-7-8z',
  learning: 'M4 6.500c3-1 6-.5 8 1 2-1.500 5-2 8-1V18c-3-1-6-.5-8 1-2-1.500-5-2-8-1zM12 7.500V19',
  games: 'M8 9h8a4 4 0 010 8c-1.500 0-2-1.500-4-1.500S9.500 17 8 17a4 4 0 010-8zM8 11.500v3M6.500 13h3M16 13h.01',
  cards: 'M6 8h9v12H6zM9 8V5h9v12h-3',
  profile: 'M12 5a3.500 3.500 0 110 7 3.500 3.500 0 010-7zM5.500 20c.5-4 3-5.500 6.500-5.500s6 1.500 6.500 5.500',
};

/** What an event is about, by its drawing. */
export function Mark({ area }: { area: Area }) {
  return (
    <svg className={`mark mark-${area}`} viewBox="0 0 24 24" width="28" height="28" role="img" aria-label={area}>
      <path d={DRAWINGS[area]} />
    </svg>
  );
}
