import { groupBy } from '../shared/group';

interface Goal {
  readonly goal: { readonly week?: number | null };
}

/** Goals under one heading. */
export interface GoalGroup<G> {
  readonly title: string;
  readonly goals: G[];
}

export interface GoalGroups<G> {
  /** This week's goals and those of the whole season: what can be worked on. */
  readonly now: GoalGroup<G>[];
  /** Weeks that are over, the latest first. */
  readonly earlier: GoalGroup<G>[];
  /** Weeks that are still to come, the next first. */
  readonly coming: GoalGroup<G>[];
}

/** Goals by the time of their weeks. Without a current week, all weeks are earlier ones. */
export function groupGoals<G extends Goal>(goals: readonly G[], currentWeek: number | undefined): GoalGroups<G> {
  const byWeek = groupBy(goals, ({ goal }) => goal.week ?? 0);
  const weeks = [...byWeek.keys()].filter((week) => week > 0).sort((a, b) => a - b);
  const group = (title: string, week: number): GoalGroup<G>[] => {
    const ofWeek = byWeek.get(week);
    return ofWeek === undefined ? [] : [{ title, goals: ofWeek }];
  };
  const named = (week: number) => group(`Week ${week}`, week);
  const current = currentWeek ?? Infinity;
  return {
    now: [...(currentWeek === undefined ? [] : group('This week', currentWeek)), ...group('All season', 0)],
    earlier: weeks.filter((week) => week < current).reverse().flatMap(named),
    coming: weeks.filter((week) => week > current).flatMap(named),
  };
}
