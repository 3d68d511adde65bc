-- KEYS: a stream. Answers the id of the history of the server that has the stream.
local info = redis.call('INFO', 'replication')
if string.match(info, 'role:(%w+)') ~= 'master' then
  return redis.error_reply('READONLY A replica may not have the latest revocations')
end
return {string.match(info, 'master_replid:(%w+)')}
