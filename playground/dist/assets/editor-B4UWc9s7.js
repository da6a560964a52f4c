import{c as i,j as t,a as l}from"./react-48JsHkOl.js";import{G as a,u as d}from"./graphiql-KzgeBV6r.js";import{i as c}from"./index-DefWSVNC.js";import"./runtime-BOIWRsE8.js";import"./monaco-BIf3ztTO.js";import"./graphql-DqQWK9EU.js";const m=`# Everything Waymark knows about one user, in one
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
`,u=`# The achievements of one player in three games, in
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
`,h=`# Many users at once, each found by whatever is known
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
`,g=`# The catalogue: what there is to make progress in,
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
`,p=`# Who am I, and how far have I come? Every kind of
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
`,f=`{ "user": { "handle": "grace" } }
`,_=`{
  "users": [
    { "handle": "grace" },
    { "handle": "ada" },
    { "handle": "MaxMilyin" },
    { "account": { "platform": "discord", "id": "123456789012345678" } }
  ]
}
`,b=Object.assign({"./examples/1-profile.graphql":m,"./examples/2-games.graphql":u,"./examples/3-many-users.graphql":h,"./examples/4-catalogue.graphql":g,"./examples/5-overview.graphql":p}),v=Object.assign({"./examples/1-profile.json":f,"./examples/3-many-users.json":_}),r=Object.entries(b).sort(([e],[n])=>e<n?-1:1).map(([e,n])=>({query:n.trimEnd(),variables:v[e.replace(/graphql$/,"json")]?.trimEnd()??null}));function E(e,n,s){i.createRoot(e).render(t.jsxs(a,{fetcher:n,defaultTabs:r.map(o=>({...o,headers:null})),...c(r,localStorage),defaultEditorToolsVisibility:"variables",shouldPersistHeaders:!1,showPersistHeadersSettings:!1,children:[t.jsx(a.Logo,{children:null}),t.jsx(y,{onReady:s})]}))}function y({onReady:e}){const n=d(s=>s.monaco!==void 0);return l.useEffect(()=>{n&&requestAnimationFrame(e)},[n,e]),null}export{E as mountEditor};
