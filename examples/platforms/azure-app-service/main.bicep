// A web app on Azure App Service (Linux) with a deployment slot in which the next interpreter is tried.
// It was not deployed and not compiled by the authors: run `az deployment group what-if` first (docs/platforms.md).
targetScope = 'resourceGroup'

@description('Name of the web app; it becomes part of its host name.')
param name string

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Size of the plan. Deployment slots need Standard or better.')
param skuName string = 'P0v3'

@description('Stack of the production slot as `az webapp list-runtimes --os-type linux` names it, with | for :.')
param currentStack string

@description('Stack of the slot `next`, in the same form.')
param nextStack string

@description('Runtimes that the production slot tries, the preferred one first.')
param currentRuntimes string

@description('Runtimes that the slot `next` tries, the preferred one first.')
param nextRuntimes string = '3.14t 3.14'

@description('Path that answers with 200 where the service works.')
param healthCheckPath string = '/healthz'

@description('Start-up command of both slots, in the root of the deployment.')
param startupCommand string

// Longer than start.py takes for two runtimes of 60 s each, and for the service to answer.
var startTimeLimitSeconds = '300'

var commonSettings = {
  // The virtual environments are part of the deployment: nothing is built on the platform.
  SCM_DO_BUILD_DURING_DEPLOYMENT: 'false'
  WEBSITES_CONTAINER_START_TIME_LIMIT: startTimeLimitSeconds
  START_TIMEOUT_S: '60'
}

var commonConfiguration = {
  alwaysOn: true
  appCommandLine: startupCommand
  ftpsState: 'Disabled'
  healthCheckPath: healthCheckPath
  http20Enabled: true
  minTlsVersion: '1.2'
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${name}-plan'
  location: location
  kind: 'linux'
  sku: {
    name: skuName
  }
  properties: {
    reserved: true // Linux
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  kind: 'app,linux'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: union(commonConfiguration, {
      linuxFxVersion: currentStack
    })
  }
}

resource siteSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: union(commonSettings, {
    START_RUNTIMES: currentRuntimes
    SERVICE_RING: 'production'
  })
}

resource next 'Microsoft.Web/sites/slots@2024-04-01' = {
  parent: site
  name: 'next'
  location: location
  kind: 'app,linux'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: union(commonConfiguration, {
      linuxFxVersion: nextStack
    })
  }
}

resource nextSettings 'Microsoft.Web/sites/slots/config@2024-04-01' = {
  parent: next
  name: 'appsettings'
  properties: union(commonSettings, {
    START_RUNTIMES: nextRuntimes
    SERVICE_RING: 'next'
  })
}

// Slot settings stay with their slot in a swap: logs keep saying which slot they are from. START_RUNTIMES is none of
// them: the choice of the interpreter moves with the code that was tried with it.
resource slotSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'slotConfigNames'
  properties: {
    appSettingNames: [
      'SERVICE_RING'
    ]
  }
}

output productionHost string = site.properties.defaultHostName
output nextHost string = next.properties.defaultHostName
