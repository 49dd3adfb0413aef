-- The health of an AIApp in Argo CD. It goes by types and statuses of conditions, not by reasons.

local function condition(type)
  for _, one in ipairs(obj.status.conditions) do
    if one.type == type then
      return one
    end
  end
  return { status = "Unknown", message = "" }
end

local function health(status, message)
  return { status = status, message = message }
end

local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "waiting for the operator to observe this generation")
end

local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end

local reconciling = condition("Reconciling")
if reconciling.status == "True" then
  local phase = status.candidate and status.candidate.phase
  -- A change of the spec that waits for a user or for a window. What polling found leaves the app at rest.
  if phase == "AwaitingApproval" or phase == "Scheduled" then
    return health("Suspended", reconciling.message)
  end
  return health("Progressing", reconciling.message)
end

local ready = condition("Ready")
local released = condition("Released")
local serves = ready.status == "True"
if not serves and (status.current ~= nil or not obj.spec.suspend) then
  return health("Degraded", ready.message)
end

local hold = (obj.metadata.annotations or {})["aiapp.dev/hold"] or ""
if obj.spec.suspend or hold ~= "" then
  return health("Suspended", released.message)
end

-- A newer release that polling found may wait or have failed: the current one serves all the same.
if released.status == "True" then
  return health("Healthy", ready.message)
end
return health("Healthy", ready.message .. "; " .. released.message)
