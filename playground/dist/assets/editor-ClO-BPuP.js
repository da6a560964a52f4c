import{j as s,r as d,c as f}from"./react-CwsnT_5d.js";import{u as v,a as i,G as p,H as b,e as y,b as x}from"./graphiql-Cw7ItVOG.js";import{i as w}from"./index-CUHH1kfw.js";import"./commonjs-DaWZu8wl.js";import"./monaco-NoC-F1Bi.js";import"./preload-D8_b-Rn0.js";import"./graphql-Dupj_23V.js";import"./client-DE6MYjhk.js";import"./session-CLKZ52rF.js";const A=`# Everything Waymark knows about one user, in one
# request. What the caller may not read is null, and
# the rest of the answer stands.
query Profile($user: UserBy!) {
  user(by: $user) {
    handle
    displayName
    season {
      season { title }
      state
      timeLeft
      currentWeek { number timeLeft }
      hasStartedProgram
      goals {
        title
        completedSteps
        totalSteps
        reward { credits }
        goalState
        isClaimed
        isClaimable
      }
    }
    credits {
      available { credits }
      expiresIn
      expirySchedule { expiresAt amount { credits } }
      isBlockedForClaiming
    }
    resourceProgress(resourceIds: [
      "507f1f77bcf86cd799439011"
      "507f191e810c19729de860ea"
    ]) {
      title
      completed
      completedAt
      progress
      timeSpent
    }
    studyPlanInstances {
      title
      status
      completedCount
      total
      percent
    }
    gameSummaries(gameIds: ["1", "2", "3"]) {
      game { title }
      numPossible
      numAchieved
      numAchievedHardcore
      possibleScore
      scoreAchieved
      scoreAchievedHardcore
    }
    games(first: 5, orderBy: SCORE) {
      totalCount
      nodes {
        title
        numAchieved
        numPossible
        highestAward { award earnedAt }
      }
    }
    collections(first: 5) {
      nodes {
        title
        status
        progressInPercentage
        cards { card { name } quantity }
        reward { reward { name } isClaimed }
      }
    }
  }
}
`,k=`# The achievements of one player in three games, in
# the order asked for. A game the catalogue does not
# know would be null.
query MaxMilyinGames {
  user(by: { handle: "MaxMilyin" }) {
    handle
    gameSummaries(gameIds: ["1", "2", "3"]) {
      game { id title }
      numPossible
      numAchieved
      numAchievedHardcore
      possibleScore
      scoreAchieved
      scoreAchievedHardcore
      awards { award earnedAt }
      lastUnlockedAt
    }
  }
}
`,S=`# Many users at once, each found by whatever is known
# of them. Their rows are loaded together, not one by one.
query ManyUsers($users: [UserBy!]!) {
  users(by: $users) {
    handle
    gameSummaries(gameIds: ["1", "14402"]) {
      game { title }
      numAchieved
      numPossible
    }
    collection(id: "program_123") {
      status
      progressInPercentage
    }
  }
}
`,I=`# The catalogue: what there is to make progress in,
# readable by anyone.
query Catalogue {
  currentSeason {
    title
    state
    timeLeft
    endDate
  }
  games(first: 5) {
    totalCount
    nodes { id title }
    pageInfo { hasNextPage endCursor }
  }
  studyPlans(first: 3) {
    nodes { title resources { id title } }
  }
  collections(first: 3) {
    nodes { id name size }
  }
}
`,q=`# Who am I, and how far have I come? Every kind of
# progress through one interface.
query Overview {
  viewer {
    kind
    user {
      handle
      overview(first: 20) {
        totalCount
        nodes {
          kind
          title
          done
          total
          ratio
          state
          completedAt
        }
      }
    }
  }
}
`,C=`# The season with its clock, the goals of this week, and which of them can be claimed now.
query Goals {
  viewer {
    user {
      season {
        season { title startDate endDate }
        state
        timeLeft
        currentWeek { number title timeLeft }
        hasStartedProgram
      }
      goals {
        id
        title
        completedSteps
        totalSteps
        goalState
        isClaimable
        claimRefusal
        reward { credits }
      }
    }
  }
}
`,P=`# Claims the reward of a goal; claiming it again changes nothing. The payload holds what this write changed.
mutation ClaimGoal($input: ClaimGoalsInput!) {
  claimGoals(input: $input) {
    results {
      id
      status
      credits { credits }
      error { code message }
    }
    credits { available { credits } expiresIn }
    changes { events { kind subject changes } }
    userErrors { code message path }
  }
}
`,E=`# Credits: what can be spent, when it expires, the lots it lies in, and every entry of the ledger.
query Credits {
  viewer {
    user {
      credits {
        available { credits micros }
        expiresIn
        expirySchedule { expiresAt amount { credits } }
        lots { number amount { credits } remaining { credits } source expiresAt }
        isBlockedForClaiming
        blocks { number scope reason until }
        ledger(first: 5) {
          totalCount
          nodes { kind amount { credits } reason recordedAt }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
  }
}
`,j=`# Study plans with their resources, and the resources worked on last.
query Learning {
  viewer {
    user {
      studyPlanInstances {
        id
        title
        status
        completedCount
        total
        percent
        percentByMinutes
        resources { completed resource { id title estimatedMinutes } }
      }
      resources(first: 5) {
        nodes { id title completed progress timeSpent lastAccessedAt notes }
      }
    }
  }
}
`,$=`# Records one's own progress with a resource: what is given is set, the rest stays.
mutation Learn($input: UpdateResourceProgressInput!) {
  updateResourceProgress(input: $input) {
    resourceProgress { title completed completedAt progress timeSpent }
    changes { studyPlanInstances { title percent } }
    userErrors { code message path }
  }
}
`,R=`# Collections with the cards one owns and those still missing, and the reward for completing them.
query Collections {
  viewer {
    user {
      collections(first: 5) {
        totalCount
        nodes {
          title
          status
          collectedCount
          size
          progressInPercentage
          cards { card { id name rarity } isOwned quantity }
          reward { reward { name } isClaimed refusal }
        }
      }
    }
  }
}
`,L=`# Everything that changed for a user, numbered without gaps, the newest first.
query History($kinds: [ProgressEventKind!]) {
  viewer {
    user {
      history(first: 10, kinds: $kinds) {
        totalCount
        nodes { number kind subject changes actor occurredAt }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
`,M=`# Anything by its global id, of whatever type, in the order asked for.
query Nodes($ids: [ID!]!) {
  nodes(ids: $ids) {
    id
    __typename
    ... on Game { title numPossible possibleScore }
    ... on Achievement { title points }
    ... on StudyPlan { title resources { title } }
    ... on Collection { name size }
    ... on Resource { title estimatedMinutes }
  }
}
`,G=`# Who asks, what the credential allows, and how much one request may ask for.
query WhoAmI {
  viewer {
    kind
    appName
    scopes
    user { id handle displayName profileVisibility }
    now
    limits { maxDepth maxAliases maxIds maxPageSize maxResourceIds }
  }
}
`,U=`# Run this as the app: it records steps of a goal. The \`ref\` makes it count once, however often it is sent.
mutation RecordSteps($input: RecordGoalStepsInput!) {
  recordGoalSteps(input: $input) {
    results { id status completedSteps clampedBy error { code message } }
    changes { goals { title completedSteps totalSteps } goalsCompleted { title } }
    userErrors { code message path }
  }
}
`,T=`# Run this as the app: it unlocks achievements, and answers what that did to the games and their awards.
mutation Unlock($input: UnlockAchievementsInput!) {
  unlockAchievements(input: $input) {
    results { id status error { code message } }
    changes { gameSummaries { game { title } numAchieved numPossible } awards { award } }
    userErrors { code message path }
  }
}
`,N=`# Run this as the app: it gives cards to a user.
mutation GrantCards($input: GrantCardsInput!) {
  grantCards(input: $input) {
    results { id status error { code message } }
    collections { title collectedCount size status }
    userErrors { code message path }
  }
}
`,B=`# Run this as the admin: it finds users, and shows one of them as anybody sees them.
query OperatorsView($text: String!, $user: UserBy!) {
  searchUsers(text: $text, first: 5) {
    nodes { id handle displayName profileVisibility accounts { platform id } }
  }
  user(by: $user, as: PUBLIC) {
    handle
    games(first: 3) { nodes { title numAchieved } }
  }
}
`,D=`# Run this as the admin: it says what a pause of the season would do, and does nothing. Without \`dryRun\` it is done.
mutation PauseSeason($input: PauseSeasonInput!) {
  pauseSeason(input: $input) {
    affected {
      stateBefore
      stateAfter
      endDateBefore
      endDateAfter
      enrolledUsers
      goalsUnderWay
      unclaimedGoals
      movedSeasons { id startDateBefore startDateAfter }
    }
    userErrors { code message path }
  }
}
`,W=`# Run this as the admin: the API keys, without their secrets, and what operators did last.
query KeysAndAudit {
  apiKeys(first: 10) {
    nodes { number name prefix scopes createdAt expiresAt revokedAt owner { handle } }
  }
  auditLog(first: 10) {
    nodes { number action actor subject changes recordedAt }
  }
}
`,O=`# Run this as the admin: it recomputes every number of a user from its source, and lists what differs.
mutation Verify($input: VerifyInput!) {
  verify(input: $input) {
    usersChecked
    differenceCount
    checks { check found }
    differences { check what stored expected }
  }
}
`,H=`# What happens to a user, as it happens: run it, then run RecordSteps or ClaimGoal in another tab. With the cursor of the last event as \`after\`, nothing is missed while you were away.
subscription Live {
  userProgress(user: { handle: "grace" }) {
    cursor
    number
    kind
    subject
    changes
    occurredAt
  }
}
`,V=`{ "user": { "handle": "grace" } }
`,F=`{
  "users": [
    { "handle": "grace" },
    { "handle": "ada" },
    { "handle": "MaxMilyin" },
    { "account": { "platform": "discord", "id": "123456789012345678" } }
  ]
}
`,z=`{ "input": { "goalIds": ["rising-tide-3"] } }
`,K=`{ "input": { "resourceId": "68af9c0031211cc0961a5a1d", "progress": 60, "addTimeSpentMinutes": 15 } }
`,Q=`{ "kinds": ["GOAL_CLAIMED", "ACHIEVEMENT_UNLOCKED", "AWARD_EARNED"] }
`,X=`{ "ids": ["game:14402", "achievement:14402-01", "study_plan:first-steps", "collection:program_123"] }
`,Y=`{
  "input": {
    "user": { "handle": "grace" },
    "steps": [{ "goalId": "rising-tide-2", "add": 1, "ref": "a-walk-in-the-park" }]
  }
}
`,J=`{
  "input": {
    "user": { "handle": "xelnia" },
    "unlocks": [{ "achievementId": "14402-01", "hardcore": true }]
  }
}
`,Z=`{
  "input": { "user": { "handle": "snowfall" }, "cards": [{ "cardId": "program_123-04" }] }
}
`,ee=`{ "text": "gr", "user": { "handle": "grace" } }
`,ne=`{ "input": { "id": "rising-tide", "dryRun": true } }
`,te=`{ "input": { "user": { "handle": "grace" } } }
`,se=5,ae=Object.assign({"./examples/01-profile.graphql":A,"./examples/02-games.graphql":k,"./examples/03-many-users.graphql":S,"./examples/04-catalogue.graphql":I,"./examples/05-overview.graphql":q,"./examples/06-goals.graphql":C,"./examples/07-claim-goal.graphql":P,"./examples/08-credits.graphql":E,"./examples/09-learning.graphql":j,"./examples/10-learn.graphql":$,"./examples/11-collections.graphql":R,"./examples/12-history.graphql":L,"./examples/13-nodes.graphql":M,"./examples/14-who-am-i.graphql":G,"./examples/15-record-steps.app.graphql":U,"./examples/16-unlock.app.graphql":T,"./examples/17-grant-cards.app.graphql":N,"./examples/18-operators-view.admin.graphql":B,"./examples/19-pause-season.admin.graphql":D,"./examples/20-keys-and-audit.admin.graphql":W,"./examples/21-verify.admin.graphql":O,"./examples/22-live.graphql":H}),re=Object.assign({"./examples/01-profile.json":V,"./examples/03-many-users.json":F,"./examples/07-claim-goal.json":z,"./examples/10-learn.json":K,"./examples/12-history.json":Q,"./examples/13-nodes.json":X,"./examples/15-record-steps.app.json":Y,"./examples/16-unlock.app.json":J,"./examples/17-grant-cards.app.json":Z,"./examples/18-operators-view.admin.json":ee,"./examples/19-pause-season.admin.json":ne,"./examples/21-verify.admin.json":te}),h=Object.entries(ae).sort(([e],[n])=>e<n?-1:1).map(([e,n])=>({name:/^(?:query|mutation|subscription)\s+(\w+)/m.exec(n)?.[1]??"",about:oe(n),credential:/\.(\w+)\.graphql$/.exec(e)?.[1],query:n.trimEnd(),variables:re[e.replace(/graphql$/,"json")]?.trimEnd()??null})),m=h.slice(0,se);function oe(e){return(/^(?:#.*\n)+/.exec(e)?.[0]??"").replaceAll(/\n?^# ?/gm," ").trim()}const g={title:"Examples",icon:le,content:de},ie=[["For everybody",({credential:e})=>e===void 0],["For apps",({credential:e})=>e==="app"],["For operators",({credential:e})=>e==="admin"]];function le(){return s.jsx("svg",{viewBox:"0 0 24 24",width:"1em",height:"1em",fill:"none",stroke:"currentColor",strokeWidth:"1.6",strokeLinejoin:"round",children:s.jsx("path",{d:"M4 5h10M4 10h7M4 15h5M13 11l7 4.500-7 4.500z"})})}function de(){const e=ce();return s.jsx("section",{className:"examples","aria-label":"Examples",children:ie.map(([n,a])=>s.jsxs("div",{children:[s.jsx("h3",{children:n}),s.jsx("ul",{children:h.filter(a).map(r=>s.jsx("li",{children:s.jsxs("button",{type:"button",onClick:()=>e(r),children:[s.jsx("strong",{children:r.name}),s.jsx("span",{children:r.about})]})},r.name))})]},n))})}function ce(){const{addTab:e,changeTab:n}=v(),a=i(t=>t.tabs),r=i(t=>t.activeTabIndex),o=i(t=>t.queryEditor),c=i(t=>t.variableEditor),l=d.useRef(void 0);return d.useEffect(()=>{const t=l.current;t===void 0||r!==a.length-1||(l.current=void 0,o?.setValue(t.query),c?.setValue(t.variables??""))},[r,a.length,o,c]),t=>{const u=a.findIndex(({title:_})=>_===t.name);if(u>=0)return n(u);l.current=t,e()}}const ue="(min-width: 1100px)",pe=[b,y(),g];function Ae(e,n,a){f.createRoot(e).render(s.jsxs(p,{fetcher:n,plugins:pe,...matchMedia(ue).matches?{visiblePlugin:g.title}:{},defaultTabs:m.map(({query:r,variables:o})=>({query:r,variables:o,headers:null})),...w(m,localStorage),defaultEditorToolsVisibility:"variables",shouldPersistHeaders:!1,showPersistHeadersSettings:!1,children:[s.jsx(p.Logo,{children:null}),s.jsx(me,{onReady:a})]}))}function me({onReady:e}){const n=x(a=>a.monaco!==void 0);return d.useEffect(()=>{n&&requestAnimationFrame(e)},[n,e]),null}export{Ae as mountEditor};
