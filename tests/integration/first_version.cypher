// The graph as the first version of the schema left it: its statements, and what it wrote of two
// items, a user, a stub, their events and a model. It never changes: it is what upgrades start from.

CREATE CONSTRAINT user_id IF NOT EXISTS
FOR (user:User) REQUIRE user.user_id IS UNIQUE;

CREATE CONSTRAINT item_id IF NOT EXISTS
FOR (item:Item) REQUIRE item.item_id IS UNIQUE;

CREATE CONSTRAINT category_id IF NOT EXISTS
FOR (category:Category) REQUIRE category.category_id IS UNIQUE;

CREATE CONSTRAINT brand_id IF NOT EXISTS
FOR (brand:Brand) REQUIRE brand.brand_id IS UNIQUE;

CREATE CONSTRAINT event_id_VIEWED IF NOT EXISTS
FOR ()-[event:VIEWED]-() REQUIRE event.event_id IS UNIQUE;

CREATE CONSTRAINT event_id_CLICKED IF NOT EXISTS
FOR ()-[event:CLICKED]-() REQUIRE event.event_id IS UNIQUE;

CREATE CONSTRAINT event_id_ADDED_TO_CART IF NOT EXISTS
FOR ()-[event:ADDED_TO_CART]-() REQUIRE event.event_id IS UNIQUE;

CREATE CONSTRAINT event_id_PURCHASED IF NOT EXISTS
FOR ()-[event:PURCHASED]-() REQUIRE event.event_id IS UNIQUE;

CREATE CONSTRAINT event_id_RATED IF NOT EXISTS
FOR ()-[event:RATED]-() REQUIRE event.event_id IS UNIQUE;

CREATE CONSTRAINT event_id_REVIEWED IF NOT EXISTS
FOR ()-[event:REVIEWED]-() REQUIRE event.event_id IS UNIQUE;

CREATE INDEX stale_users IF NOT EXISTS
FOR (user:User) ON (user.stale_since);

CREATE INDEX stale_items IF NOT EXISTS
FOR (item:Item) ON (item.stale_since);

CREATE VECTOR INDEX item_embedding IF NOT EXISTS
FOR (item:Item) ON (item.embedding)
OPTIONS {indexConfig: {`vector.similarity_function`: 'cosine'}};

CREATE CONSTRAINT migration_name IF NOT EXISTS
FOR (migration:SchemaMigration) REQUIRE migration.name IS UNIQUE;

UNWIND ['001_user_id', '002_item_id', '003_category_id', '004_brand_id', '005_event_id',
  '006_stale_users', '007_stale_items', '008_item_embedding', '009_migration'] AS name
CREATE (:SchemaMigration {name: name, applied_at: datetime('2026-01-01T00:00:00Z')});

CREATE (yogurt:Item {item_id: 'i-1', known: true, hidden: false, title: 'Yogurt', price: 1.5,
  facts_revision: 3, refreshed_revision: 3, catalog_revision: 1, event_count: 2, popularity: 1.1,
  updated_at: datetime('2026-01-01T12:00:00Z'), embedding: [0.5, 0.5], model_version: 'm-1'})
CREATE (stub:Item {item_id: 'i-2', known: false, hidden: false, facts_revision: 1,
  refreshed_revision: 0, event_count: 1, popularity: 0.5,
  stale_since: datetime('2026-01-01T12:00:00Z'), updated_at: datetime('2026-01-01T12:00:00Z')})
CREATE (dairy:Category {category_id: 'c-1', name: 'Dairy', path: 'Dairy'})
CREATE (maker:Brand {brand_id: 'b-1', name: 'Maker'})
CREATE (yogurt)-[:IN_CATEGORY]->(dairy)
CREATE (yogurt)-[:MADE_BY]->(maker)
CREATE (one:User {user_id: 'u-1', known: true, catalog_revision: 1, facts_revision: 3,
  refreshed_revision: 3, updated_at: datetime('2026-01-01T12:00:00Z'), embedding: [1.0, 0.0],
  model_version: 'm-1'})-[:PREFERS]->(dairy)
CREATE (two:User {user_id: 'u-2', known: false, facts_revision: 1, refreshed_revision: 0,
  stale_since: datetime('2026-01-01T12:00:00Z'), updated_at: datetime('2026-01-01T12:00:00Z')})
CREATE (one)-[:VIEWED {event_id: 'e-1', occurred_at: datetime('2026-01-01T12:00:00Z'),
  recorded_at: datetime('2026-01-01T12:00:00Z'), body_hash: '6599be94853c450b'}]->(yogurt)
CREATE (one)-[:PURCHASED {event_id: 'e-2', occurred_at: datetime('2026-01-01T12:00:00Z'),
  recorded_at: datetime('2026-01-01T12:00:00Z'), body_hash: 'b44b82fcb532b7c1'}]->(yogurt)
CREATE (two)-[:RATED {event_id: 'e-3', occurred_at: datetime('2026-01-01T12:00:00Z'), value: 4.0,
  recorded_at: datetime('2026-01-01T12:00:00Z'), body_hash: 'a7edac9c83ec5e8c'}]->(stub)
CREATE (one)-[:INTERESTED_IN {weight: 0.5, model_version: 'm-1',
  updated_at: datetime('2026-01-01T12:00:00Z')}]->(yogurt);
