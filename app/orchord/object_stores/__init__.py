"""Object stores: S3, Azure Blob and Google Cloud Storage by one library, for compute logs and IO managers alike.

Which settings of each store mean what is s3.py, azure.py and gcs.py; what is done with a store is bucket.py. Nothing
here knows of runs or steps.
"""
