import{j as s,r as l,c as f}from"./react-CwsnT_5d.js";import{u as v,a as o,G as p,H as b,e as y,b as x,c as w}from"./graphiql-BFEI8F1T.js";import{i as A}from"./index-BtNoJRBR.js";import"./commonjs-DaWZu8wl.js";import"./monaco-Cy0mXgls.js";import"./preload-D8_b-Rn0.js";import"./graphql-CqXCGdUh.js";import"./client-Bk8jt7Zq.js";import"./session-Cc42HuQs.js";const k=`# Everything Waymark knows about one user, in one
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
`,S=`# The achievements of one player in three games, in
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
`,q=`# Many users at once, each found by whatever is known
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
`,C=`# Who am I, and how far have I come? Every kind of
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
`,E=`# The season with its clock, the goals of this week, and which of them can be claimed now.
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
`,j=`# Credits: what can be spent, when it expires, the lots it lies in, and every entry of the ledger.
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
`,$=`# Study plans with their resources, and the resources worked on last.
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
`,R=`# Records one's own progress with a resource: what is given is set, the rest stays.
mutation Learn($input: UpdateResourceProgressInput!) {
  updateResourceProgress(input: $input) {
    resourceProgress { title completed completedAt progress timeSpent }
    changes { studyPlanInstances { title percent } }
    userErrors { code message path }
  }
}
`,L=`# Collections with the cards one owns and those still missing, and the reward for completing them.
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
`,M=`# Everything that changed for a user, numbered without gaps, the newest first.
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
`,G=`# Anything by its global id, of whatever type, in the order asked for.
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
`,T=`# Who asks, what the credential allows, and how much one request may ask for.
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
`,D=`# Run this as the app: it unlocks achievements, and answers what that did to the games and their awards.
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
`,O=`# Run this as the admin: it says what a pause of the season would do, and does nothing. Without \`dryRun\` it is done.
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
`,H=`# Run this as the admin: it recomputes every number of a user from its source, and lists what differs.
mutation Verify($input: VerifyInput!) {
  verify(input: $input) {
    usersChecked
    differenceCount
    checks { check found }
    differences { check what stored expected }
  }
}
`,V=`# What happens to a user, as it happens. The editor ends it when another tab is shown, so keep this one: open the
# playground in a second window, and run RecordSteps as the app, or ClaimGoal, there.
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
`,F=`{ "user": { "handle": "grace" } }
`,z=`{
  "users": [
    { "handle": "grace" },
    { "handle": "ada" },
    { "handle": "MaxMilyin" },
    { "account": { "platform": "discord", "id": "123456789012345678" } }
  ]
}
`,K=`{ "input": { "goalIds": ["rising-tide-3"] } }
`,Q=`{ "input": { "resourceId": "507f191e810c19729de860ea", "progress": 60, "addTimeSpentMinutes": 15 } }
`,X=`{ "kinds": ["GOAL_CLAIMED", "ACHIEVEMENT_UNLOCKED", "AWARD_EARNED"] }
`,Y=`{ "ids": ["game:14402", "achievement:14402-01", "study_plan:first-steps", "collection:program_123"] }
`,J=`{
  "input": {
    "user": { "handle": "grace" },
    "steps": [{ "goalId": "rising-tide-2", "add": 1, "ref": "a-walk-in-the-park" }]
  }
}
`,Z=`{
  "input": {
    "user": { "handle": "xelnia" },
    "unlocks": [{ "achievementId": "14402-01", "hardcore": true }]
  }
}
`,ee=`{
  "input": { "user": { "handle": "snowfall" }, "cards": [{ "cardId": "program_123-04" }] }
}
`,ne=`{ "text": "gr", "user": { "handle": "grace" } }
`,te=`{ "input": { "id": "rising-tide", "dryRun": true } }
`,se=`{ "input": { "user": { "handle": "grace" } } }
`,ae=5,re=Object.assign({"./examples/01-profile.graphql":k,"./examples/02-games.graphql":S,"./examples/03-many-users.graphql":q,"./examples/04-catalogue.graphql":I,"./examples/05-overview.graphql":C,"./examples/06-goals.graphql":E,"./examples/07-claim-goal.graphql":P,"./examples/08-credits.graphql":j,"./examples/09-learning.graphql":$,"./examples/10-learn.graphql":R,"./examples/11-collections.graphql":L,"./examples/12-history.graphql":M,"./examples/13-nodes.graphql":G,"./examples/14-who-am-i.graphql":T,"./examples/15-record-steps.app.graphql":U,"./examples/16-unlock.app.graphql":D,"./examples/17-grant-cards.app.graphql":N,"./examples/18-operators-view.admin.graphql":B,"./examples/19-pause-season.admin.graphql":O,"./examples/20-keys-and-audit.admin.graphql":W,"./examples/21-verify.admin.graphql":H,"./examples/22-live.graphql":V}),oe=Object.assign({"./examples/01-profile.json":F,"./examples/03-many-users.json":z,"./examples/07-claim-goal.json":K,"./examples/10-learn.json":Q,"./examples/12-history.json":X,"./examples/13-nodes.json":Y,"./examples/15-record-steps.app.json":J,"./examples/16-unlock.app.json":Z,"./examples/17-grant-cards.app.json":ee,"./examples/18-operators-view.admin.json":ne,"./examples/19-pause-season.admin.json":te,"./examples/21-verify.admin.json":se}),h=Object.entries(re).sort(([e],[n])=>e<n?-1:1).map(([e,n])=>({name:/^(?:query|mutation|subscription)\s+(\w+)/m.exec(n)?.[1]??"",about:ie(n),credential:/\.(\w+)\.graphql$/.exec(e)?.[1],query:n.trimEnd(),variables:oe[e.replace(/graphql$/,"json")]?.trimEnd()??null})),m=h.slice(0,ae);function ie(e){return(/^(?:#.*\n)+/.exec(e)?.[0]??"").replaceAll(/\n?^# ?/gm," ").trim()}const g={title:"Examples",icon:de,content:ce},le=[["For everybody",({credential:e})=>e===void 0],["For apps",({credential:e})=>e==="app"],["For operators",({credential:e})=>e==="admin"]];function de(){return s.jsx("svg",{viewBox:"0 0 24 24",width:"1em",height:"1em",fill:"none",stroke:"currentColor",strokeWidth:"1.6",strokeLinejoin:"round",children:s.jsx("path",{d:"M4 5h10M4 10h7M4 15h5M13 11l7 4.500-7 4.500z"})})}function ce(){const e=ue();return s.jsx("section",{className:"examples","aria-label":"Examples",children:le.map(([n,a])=>s.jsxs("div",{children:[s.jsx("h3",{children:n}),s.jsx("ul",{children:h.filter(a).map(r=>s.jsx("li",{children:s.jsxs("button",{type:"button",onClick:()=>e(r),children:[s.jsx("strong",{children:r.name}),s.jsx("span",{children:r.about})]})},r.name))})]},n))})}function ue(){const{addTab:e,changeTab:n}=v(),a=o(t=>t.tabs),r=o(t=>t.activeTabIndex),i=o(t=>t.queryEditor),c=o(t=>t.variableEditor),d=l.useRef(void 0);return l.useEffect(()=>{const t=d.current;t===void 0||r!==a.length-1||(d.current=void 0,i?.setValue(t.query),c?.setValue(t.variables??""))},[r,a.length,i,c]),t=>{const u=a.findIndex(({title:_})=>_===t.name);if(u>=0)return n(u);d.current=t,e()}}const pe="(min-width: 1100px)",me=[b,y(),g];function Se(e,n,a){f.createRoot(e).render(s.jsxs(p,{fetcher:n,plugins:me,...matchMedia(pe).matches?{visiblePlugin:g.title}:{},defaultTabs:m.map(({query:r,variables:i})=>({query:r,variables:i,headers:null})),...A(m,localStorage),defaultEditorToolsVisibility:"variables",shouldPersistHeaders:!1,showPersistHeadersSettings:!1,children:[s.jsx(p.Logo,{children:null}),s.jsx(he,{onReady:a}),s.jsx(ge,{})]}))}function he({onReady:e}){const n=x(a=>a.monaco!==void 0);return l.useEffect(()=>{n&&requestAnimationFrame(e)},[n,e]),null}function ge(){const e=o(a=>a.visiblePlugin),n=w().at(-1);return l.useEffect(()=>{document.querySelector(".graphiql-plugin")?.scrollTo(0,0)},[e,n]),null}export{Se as mountEditor};
