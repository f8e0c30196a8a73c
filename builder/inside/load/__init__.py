"""Programs that install and import wheels, under plain and stricter conditions."""
