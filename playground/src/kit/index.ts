export { AwardCase, Medal } from './AwardCase';
export { CardGrid } from './CardGrid';
export { CreditBadge } from './CreditBadge';
export { GoalList } from './GoalList';
export { Ring, RingFigure } from './Ring';
