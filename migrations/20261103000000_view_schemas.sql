-- Views are disposable: the application makes the schemas that hold them, and puts one in another's place.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hansard_application') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO hansard_application', current_database());
    END IF;
END $$;
