export { AwardCase, Medal } from './AwardCase';
export { Card, CardGrid, type CardItem } from './CardGrid';
export { CreditBadge } from './CreditBadge';
export { GoalList } from './GoalList';
export { Face, Picture, PictureFilter } from './Picture';
export { Ring, RingFigure } from './Ring';
