// Purpose: the highest revisions of items and of users, erased ones included, that the graph has.
// Parameters: none
// Columns: items, users
CALL () { MATCH (item:Item) RETURN max(item.catalog_revision) AS items }
CALL () { MATCH (user:User) RETURN max(user.catalog_revision) AS described }
CALL () { MATCH (tombstone:ErasedUser) RETURN max(tombstone.revision) AS erased }
WITH coalesce(items, 0) AS items, coalesce(described, 0) AS described, coalesce(erased, 0) AS erased
RETURN items, CASE WHEN described > erased THEN described ELSE erased END AS users
