-- Answers to repeatable requests are claims that expire: they are forgotten by age, without a scan of those that last.
CREATE INDEX claims_expiry ON claims (expires_at) WHERE expires_at IS NOT NULL;
