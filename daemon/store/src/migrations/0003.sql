-- Metadata of what is received is the engine's: it has a file of its own while the transfer is open.
DELETE FROM blobs WHERE content IN (SELECT content FROM transfers WHERE direction = 'in');
